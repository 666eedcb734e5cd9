"""
The privacy centre: where customers see and change what Diijam may do with their data.

    python -m examples.privacy_center [--url sqlite:///consents.db] [--port 8765]

As it stands anybody who opens it can be any of its customers, so it answers on this machine's loopback address alone.
To serve it to customers, give `create_app` your sign-in as `identify`, from a request to the id that was proved.

`make privacy-center` installs what it needs and starts it. `app.create_app` is the ASGI application; it uses only what
the library makes public.
"""
