"""
What others would have a service call before it mails a customer, each in its quickest offline form, on the same users.

Flag and authorization SDKs hold no users: their callers look the user's choice up and hand it over. That lookup is part
of the probe, since ours does it too. Each probe is checked to give the right number of yeses.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

Users = Mapping[str, Mapping[str, bool]]
Probe = Callable[[Sequence[str]], int]


def openfeature(users: Users) -> Probe:
    """OpenFeature with its in-memory provider, the user found by the flag's evaluator."""
    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.flag_evaluation import FlagResolutionDetails
    from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

    def evaluate(_: object, context: EvaluationContext) -> FlagResolutionDetails[bool]:
        return FlagResolutionDetails(users[context.targeting_key or ""]["email"])

    flag = InMemoryFlag("off", {"on": True, "off": False}, context_evaluator=evaluate)
    api.set_provider(InMemoryProvider({"market-email": flag}))
    client = api.get_client()

    def probe(wanted: Sequence[str]) -> int:
        return sum(client.get_boolean_value("market-email", False, EvaluationContext(u)) for u in wanted)

    return probe


def launchdarkly(users: Users) -> Probe:
    """LaunchDarkly with its test data source, a rule on an attribute, and no events."""
    from ldclient.client import LDClient
    from ldclient.config import Config
    from ldclient.context import Context
    from ldclient.integrations.test_data import TestData

    data = TestData.data_source()
    data.update(data.flag("market-email").if_match("email", True).then_return(True).fallthrough_variation(False))
    client = LDClient(Config("offline", update_processor_class=data, send_events=False, diagnostic_opt_out=True))

    def probe(wanted: Sequence[str]) -> int:
        count = 0
        for user in wanted:
            context = Context.builder(user).set("email", users[user]["email"]).build()
            count += client.variation("market-email", context, False)
        return count

    return probe


def unleash(users: Users) -> Probe:
    """Unleash's client on bootstrapped features, with a constraint on a property, and nothing fetched or reported."""
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    logging.getLogger("UnleashClient").setLevel(logging.CRITICAL)
    cache = FileCache("bench", directory=tempfile.mkdtemp())
    constraint = {"contextName": "email", "operator": "IN", "values": ["yes"]}
    strategy = {"name": "default", "parameters": {}, "constraints": [constraint]}
    feature = {"name": "market-email", "enabled": True, "strategies": [strategy]}
    cache.bootstrap_from_dict({"version": 2, "features": [feature]})
    client = UnleashClient(
        "http://127.0.0.1:9/api", "bench", cache=cache, disable_metrics=True, disable_registration=True
    )
    client.initialize_client(fetch_toggles=False)

    def probe(wanted: Sequence[str]) -> int:
        count = 0
        for user in wanted:
            choice = "yes" if users[user]["email"] else "no"
            count += client.is_enabled("market-email", {"userId": user, "properties": {"email": choice}})
        return count

    return probe


def casbin(users: Users) -> Probe:
    """Casbin with an attribute-based model: the rule reads the user's choice."""
    import casbin as library

    model = library.Model()
    model.load_model_from_text(
        "[request_definition]\nr = sub, act\n[policy_definition]\np = act\n"
        "[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = r.act == p.act && r.sub.email\n"
    )
    enforcer = library.Enforcer(model)
    enforcer.add_policy("market-email")
    subjects = {user: SimpleNamespace(**choices) for user, choices in users.items()}

    def probe(wanted: Sequence[str]) -> int:
        return sum(enforcer.enforce(subjects[user], "market-email") for user in wanted)

    return probe


def cedarpy(users: Users) -> Probe:
    """Cedar through cedarpy: parsed policies, the choice in the request's context."""
    import cedarpy as library

    policies = library.PolicySet.from_str(
        'permit(principal, action == Action::"market", resource) when { context.email };'
    )
    entities = library.Entities.from_json_str("[]")

    def probe(wanted: Sequence[str]) -> int:
        count = 0
        for user in wanted:
            request = {
                "principal": {"type": "User", "id": user},
                "action": 'Action::"market"',
                "resource": 'Channel::"email"',
                "context": {"email": users[user]["email"]},
            }
            count += library.is_authorized(request, policies, entities).allowed
        return count

    return probe


def dpdpkit(users: Users) -> Probe:
    """Dpdpkit, a consent library for India's DPDP Act, on its memory repository, which got an index from us."""
    from dpdpkit import DataItem, InMemoryRepository, Kit, Policy, Purpose, Registry

    class Indexed(InMemoryRepository):  # type: ignore[misc]
        """Its memory, with the index that it lacks."""

        def __init__(self) -> None:
            super().__init__()
            self.latest: dict[str, Any] = {}
            self.last: Any = None

        def append_consent_event(self, event: Any) -> None:
            """See `InMemoryRepository`."""
            self.latest[event.principal] = self.last = self._copy(event)

        def last_consent_event(self, tenant_id: str) -> Any:
            """See `InMemoryRepository`."""
            return self.last

        def latest_consent_event(self, tenant_id: str, principal: str, purpose: str) -> Any:
            """See `InMemoryRepository`."""
            return self._copy(self.latest[principal])

    policy = Policy.load("dpdp-rules-2025.v1")
    registry = Registry(purposes=[Purpose(id="email", title="Email", data_items=["email"])],
                        data_items=[DataItem(id="email", name="E-mail address")])  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kit = Kit(Indexed(), policy, registry=registry, signing_key="bench")
    links = dict.fromkeys(policy.required_links, "https://example.com")
    kit.notices.publish({"en": kit.notices.build_content(title="Notice", links=links)})
    for user, choices in users.items():
        kit.consent.record(user, {"email": choices["email"]})

    def probe(wanted: Sequence[str]) -> int:
        return sum(kit.consent.check(user, "email") for user in wanted)

    return probe


PEERS: dict[str, Callable[[Users], Probe]] = {
    "OpenFeature, in memory": openfeature,
    "LaunchDarkly, test data": launchdarkly,
    "Unleash, bootstrapped": unleash,
    "casbin, ABAC": casbin,
    "cedarpy": cedarpy,
    "dpdpkit, in memory and indexed": dpdpkit,
}
