"""
The support centre: where Diijam's staff answer what customers asked for, in time.

    python -m examples.support_center [--url sqlite:///consents.db] [--port 8766]

As it stands anybody who opens it can be any of its staff, so it answers on this machine's loopback address alone. To
serve it to staff, give `create_app` your sign-in as `identify`, from a request to the opaque id of the staff member.

`make support-center` installs what it needs and starts it. `app.create_app` is the ASGI application; it uses only what
the library makes public.
"""
