"""Reads pip's report of a resolution (JSON, standard input) and prints constraints: one exact version a line.

Local labels such as +cpu are left out, so that any build of a version fits. So are CUDA's packages: PyTorch
names the exact ones that it needs itself.
"""

import json
import re
import sys

HEAD = """\
# The versions that the course was tested with; every `make` target installs with them.
# `make constraints` writes this file anew, with the newest versions that fit (use the oldest Python, 3.11).
"""

versions = {}
for package in json.load(sys.stdin)["install"]:
    name = re.sub(r"[-_.]+", "-", package["metadata"]["name"]).lower()
    if name != "grmu" and not re.match(r"nvidia-|cuda-|triton$", name):
        versions[name] = package["metadata"]["version"].split("+")[0]
print(HEAD + "\n".join(f"{name}=={version}" for name, version in sorted(versions.items())))
