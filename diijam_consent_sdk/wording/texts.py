"""
Every sentence of histories and customers' files, in Vietnamese and English.

Customers read them, so both languages stand side by side, to be changed together. The names of single words are in
`policy.py`, with the messages of decisions.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..decisions import Ask, Market, Process, Retain, Share, Show

Pair = tuple[str, str]  # Vietnamese, English

SENTENCES: Mapping[str, Pair] = {
    "opened": ("Bạn mở tài khoản Diijam.", "You opened a Diijam account."),
    "opened_through": ("Bạn mở tài khoản Diijam qua {origin}.", "You opened a Diijam account with {origin}."),
    "closed": (
        "Bạn đóng tài khoản. Mọi điều bạn từng đồng ý hoặc công khai chấm dứt từ lúc đó.",
        "You closed the account, which ended all that you had agreed to or made public.",
    ),
    "granted": (
        "Bạn đồng ý cho Diijam dùng dữ liệu vào mục đích “{purpose}”, theo nội dung “{notice}” đã cho bạn xem.",
        "You consented to the use of your data for {purpose}, as put in the notice “{notice}”.",
    ),
    "granted_marketing": (
        "Bạn đồng ý nhận khuyến mại, tiếp thị, quảng cáo qua {channels}, theo nội dung “{notice}” đã cho bạn xem.",
        "You consented to promotions, marketing and advertising by {channels}, as put in the notice “{notice}”.",
    ),
    "expires_at": ("Sự đồng ý này có hiệu lực đến {expires_at}.", "It holds until {expires_at}."),
    "withdrawn": (
        "Bạn không cho phép, hoặc không còn cho phép, dùng dữ liệu vào mục đích “{purpose}”.",
        "You said no to the use of your data for {purpose}.",
    ),
    "withdrawn_marketing": (
        "Bạn từ chối nhận khuyến mại, tiếp thị, quảng cáo qua {channels}.",
        "You said no to promotions, marketing and advertising by {channels}.",
    ),
    "every_channel": ("bất cứ kênh nào", "any channel"),
    "objected": (
        "Bạn phản đối việc dùng dữ liệu vào mục đích “{purpose}”.",
        "You objected to the use of your data for {purpose}.",
    ),
    "objection_lifted": (
        "Bạn rút lại phản đối việc dùng dữ liệu vào mục đích “{purpose}”.",
        "You took back your objection to the use of your data for {purpose}.",
    ),
    "restricted": ("Bạn hạn chế việc dùng: {data}.", "You restricted the use of: {data}."),
    "restricted_all": ("Bạn hạn chế việc dùng toàn bộ dữ liệu của mình.", "You restricted the use of all your data."),
    "restriction_lifted": ("Bạn gỡ hạn chế đối với: {data}.", "You lifted the restriction of: {data}."),
    "restriction_lifted_all": ("Bạn gỡ mọi hạn chế.", "You lifted every restriction."),
    "notified": (
        "Diijam báo trước (lời báo trước “{notice}”) việc chia sẻ với {recipient} vào mục đích “{purpose}”: {data}.",
        "Diijam told you beforehand (notice “{notice}”) of a sharing with {recipient} for {purpose}: {data}.",
    ),
    "agreed": (
        "Bạn đồng ý chia sẻ dữ liệu với {recipient}, theo lời báo trước “{notice}”.",
        "You agreed to the sharing with {recipient}, as put in the notice “{notice}”.",
    ),
    "agreement_withdrawn": (
        "Bạn không đồng ý chia sẻ dữ liệu với {recipient} (lời báo trước “{notice}”).",
        "You said no to the sharing with {recipient} (notice “{notice}”).",
    ),
    "published": ("Bạn công khai: {field}.", "You made public: {field}."),
    "hidden": ("Bạn chọn không công khai: {field}.", "You made private: {field}."),
    "access": ("yêu cầu xem dữ liệu", "request for access"),
    "rectification": ("yêu cầu chỉnh sửa dữ liệu", "request for rectification"),
    "erasure": ("yêu cầu xóa dữ liệu", "request for erasure"),
    "complaint": ("khiếu nại", "complaint"),
    "filed": ("Bạn gửi {kind} (mã “{request}”).", "You filed a {kind} (“{request}”)."),
    "received_at": ("Diijam nhận được lúc {received_at}.", "It reached Diijam on {received_at}."),
    "processor": ("Cần cả bên ngoài Diijam cùng xử lý.", "Somebody outside Diijam has to act too."),
    "replied": (
        "Diijam phản hồi là đã nhận {kind} của bạn (mã “{request}”) và cho biết các bước tiếp theo.",
        "Diijam confirmed your {kind} (“{request}”) and told you what happens next.",
    ),
    "extended": (
        "Diijam báo cần thêm thời gian cho {kind} của bạn (mã “{request}”), vì lý do “{reason}”.",
        "Diijam told you that your {kind} (“{request}”) takes longer, for the reason “{reason}”.",
    ),
    "fulfilled": (
        "Diijam đã giải quyết xong {kind} của bạn (mã “{request}”).",
        "Diijam dealt with your {kind} (“{request}”).",
    ),
    "refused": ("Diijam từ chối {kind} của bạn (mã “{request}”).", "Diijam refused your {kind} (“{request}”)."),
    "reason": ("Lý do: “{reason}”.", "The reason: “{reason}”."),
    "cancelled": ("Đã hủy {kind} của bạn (mã “{request}”).", "Your {kind} (“{request}”) was cancelled."),
    "hold_placed": (
        "Diijam phải giữ lại vì {kind} (mã “{hold}”): {data}.",
        "Diijam has to keep, because of {kind} (hold “{hold}”): {data}.",
    ),
    "until": ("Thời hạn giữ: đến {until}.", "It lasts until {until}."),
    "hold_released": (
        "Lý do phải giữ dữ liệu không còn nữa: {kind} (mã “{hold}”).",
        "The reason to keep data is gone: {kind} (hold “{hold}”).",
    ),
    "erasure_confirmed": (
        "Nơi giữ bản sao dữ liệu của bạn (“{holder}”) xác nhận đã xóa bản sao đó.",
        "The holder of a copy of your data (“{holder}”) confirmed that it erased the copy.",
    ),
    "erased": ("Diijam đã xóa dữ liệu của bạn.", "Diijam erased your data."),
    "anonymised": ("Diijam đã ẩn danh dữ liệu của bạn.", "Diijam anonymised your data."),
}

# What holds now: how a yes and how a no begins. The message of the decision follows, which gives the reason.
ANSWERS: Mapping[type[Ask], tuple[Pair, Pair]] = {
    Process: (
        (
            "Diijam được dùng dữ liệu của bạn vào mục đích “{purpose}”.",
            "Diijam may use your data for {purpose}.",
        ),
        (
            "Diijam không được dùng dữ liệu của bạn vào mục đích “{purpose}”.",
            "Diijam may not use your data for {purpose}.",
        ),
    ),
    Market: (
        (
            "Diijam được gửi khuyến mại, tiếp thị, quảng cáo cho bạn qua {channel}.",
            "Diijam may send you promotions, marketing and advertising by {channel}.",
        ),
        (
            "Diijam không được gửi khuyến mại, tiếp thị, quảng cáo cho bạn qua {channel}.",
            "Diijam may not send you promotions, marketing and advertising by {channel}.",
        ),
    ),
    Share: (
        (
            "Diijam được chia sẻ với {recipient}, vào mục đích “{purpose}”: {data}.",
            "Diijam may share with {recipient}, for {purpose}: {data}.",
        ),
        (
            "Diijam không được chia sẻ với {recipient}, vào mục đích “{purpose}”: {data}.",
            "Diijam may not share with {recipient}, for {purpose}: {data}.",
        ),
    ),
    Show: (
        ("Diijam được hiển thị công khai: {field}.", "Diijam may show publicly: {field}."),
        ("Diijam không được hiển thị công khai: {field}.", "Diijam may not show publicly: {field}."),
    ),
    Retain: (
        ("Diijam được lưu giữ: {field}.", "Diijam may keep: {field}."),
        ("Diijam không được lưu giữ: {field}.", "Diijam may not keep: {field}."),
    ),
}
