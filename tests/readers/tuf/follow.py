"""Follows a TUF repository with the reference implementation, from a pinned root, and prints a target.

usage: follow.py ROOT URL CACHE TARGET
"""

import sys

from tuf.ngclient import Updater

root, url, cache, target = sys.argv[1:]
with open(root, "rb") as file:
    bootstrap = file.read()
updater = Updater(
    metadata_dir=cache,
    metadata_base_url=f"{url}/v1/tuf/metadata/",
    target_base_url=f"{url}/v1/tuf/targets/",
    target_dir=cache,
    bootstrap=bootstrap,
)
updater.refresh()
info = updater.get_targetinfo(target)
if info is None:
    sys.exit(f"there is no {target}")
with open(updater.download_target(info), encoding="utf-8") as file:
    sys.stdout.write(file.read())
