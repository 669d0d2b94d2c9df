"""How it is spoken: sans-IO codecs between bytes and the model. Nothing here opens a socket."""
