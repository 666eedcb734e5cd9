"""
The privacy centre: where customers see and change what Diijam may do with their data.

    python -m examples.privacy_center [--url sqlite:///consents.db] [--port 8765]

`make privacy-center` installs what it needs and starts it. `app.create_app` is the ASGI application; it uses only what
the library makes public.
"""
