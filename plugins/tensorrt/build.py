"""Builds a TensorRT engine for llem.

    build.py identify           versions of the libraries, as JSON, without loading them
    build.py build SPEC INTO    an engine in the directory INTO
"""

import json
import sys


def identify():
    from importlib import metadata

    found = {}
    for name in ("tensorrt_llm", "tensorrt"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    json.dump(found, sys.stdout)


def build(spec, into):
    from tensorrt_llm._tensorrt_engine import LLM
    from tensorrt_llm.llmapi.llm_utils import update_llm_args_with_extra_dict

    with open(spec, encoding="utf-8") as file:
        wanted = json.load(file)
    # The server's own way from its file to arguments: tables become what the
    # version at hand wants.
    llm = LLM(**update_llm_args_with_extra_dict(wanted["arguments"], wanted["options"]))
    llm.save(into)
    llm.shutdown()


# Ranks of a build over several devices import this file.
if __name__ == "__main__":
    if sys.argv[1:] == ["identify"]:
        identify()
    elif len(sys.argv) == 4 and sys.argv[1] == "build":
        build(sys.argv[2], sys.argv[3])
    else:
        sys.exit(__doc__)
