"""Other libraries that release the same table, each in an environment of its own beside ours.

An environment is made where its benchmark first runs, from a lock of hashes: ``uv pip compile NAME.in --python-version
3.11 --generate-hashes --no-emit-index-url --no-header -o NAME.lock``.
"""
