"""Tells the manifests where their images are: `manifests/installation/images`, by the registry's own digests."""

import textwrap
from collections.abc import Mapping

from brakeline.images import HOUSE, STEPS, Built, content

FILE = HOUSE / "manifests" / "installation" / "images" / "kustomization.yaml"
# What manifests name. The steps' images travel in the compiled pipeline; workbenches, which compile it, are told them.
NAMED = ("serving", "workbench")
NOWHERE = "registry.installation.invalid"
NO_DIGEST = f"sha256:{'0' * 64}"

_HEAD = """\
# Written by `python build.py images --push REGISTRY`. What was not pushed can be pulled from nowhere.
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
images:
"""

_PATCH = """\
patches:
  - target: {kind: ConfigMap, name: brakeline-images}
    patch: |-
      apiVersion: v1
      kind: ConfigMap
      metadata:
        name: brakeline-images
      data:
        images.lock.json: |
"""


def name_images(images: Mapping[str, Built]) -> None:
    """Write the pushed references of the images that manifests name, and the lock of the steps' for workbenches.

    What was not pushed stays unpullable, and is in no lock.
    """
    named = "".join(_entry(name, images[name].pushed if name in images else "") for name in NAMED)
    steps = {step: images[step] for step in STEPS if step in images and images[step].pushed}
    text = _HEAD + named + _PATCH + textwrap.indent(content({}, steps), " " * 10)
    if not FILE.is_file() or FILE.read_text(encoding="utf-8") != text:
        staged = FILE.with_name(f".{FILE.name}.partial")
        staged.write_text(text, encoding="utf-8")
        staged.replace(FILE)


def _entry(name: str, pushed: str) -> str:
    repository, _, digest = (pushed or f"{NOWHERE}/brakeline/{name}@{NO_DIGEST}").partition("@")
    return f"  - name: brakeline/{name}\n    newName: {repository}\n    digest: {digest}\n"
