"""A cluster for a test: the API, the controller with its pods, and a kubeconfig that leads there."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from brakeline_deploy import places, rollout
from brakeline_deploy.target import Standing, Target

from tests.conftest import Done, command
from tests.crds import RELEASES
from tests.deploy import kubernetes_api
from tests.deploy.controller import Controller, at_work, normalize_mode
from tests.deploy.kubernetes_api import NAMESPACE, TOKEN
from tests.deploy.releases import NAME, Made, release
from tests.serving.certificates import make_certificate

POD_TOKEN = "a-token-of-the-endpoint"


@dataclass
class Place:
    """A cluster as the deploy step meets it."""

    api: Any  # the stand-in, an `Api`; or a real API server, as tests/manifests/test_real_deploy.py has it
    controller: Controller
    folder: Path
    kubeconfig: Path
    releases: dict[str, Made] = field(default_factory=dict)

    def release(self, version: str, scale: float = 2.0, **about: Any) -> Made:
        """A registered version whose storage URI the cluster can read."""
        made = self.releases[version] = release(self.folder, version, scale, **about)
        self.controller.models[made.uri] = made.model
        return made

    def deploy(self, verb: str, *words: object, seconds: int = 15, query: str = "") -> Done:
        """A verb of the step, on this cluster."""
        words = (*words, "--model-store", f"kserve://{NAMESPACE}/{NAME}{query}")
        if verb in ("apply", "rollback"):
            words = (*words, "--timeout-seconds", seconds)
            words = words if "--token-file" in words else (*words, "--token-file", self.folder / "token")
        return command("brakeline-deploy", verb, *words, environment={"KUBECONFIG": str(self.kubeconfig)})

    def apply(self, made: Made, *words: object, seconds: int = 15) -> Done:
        """`apply` of a version."""
        return self.deploy("apply", *made.words(), "--endpoint", self.folder / "endpoint", *words, seconds=seconds)

    @contextmanager
    def target(self, patience_s: int = 15, take_over: bool = False) -> Iterator[Target]:
        """The target in the test's own process."""
        address = f"kserve://{NAMESPACE}/{NAME}"
        token = str(self.folder / "token")
        asked = places.Asked(address, NAME, token_file=token, timeout_seconds=patience_s, take_over=take_over)
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("KUBECONFIG", str(self.kubeconfig))
            with places.opened(asked, at_work=True) as opened:
                yield opened

    def roll_out(self, made: Made, patience_s: int = 15, take_over: bool = False) -> dict[str, Any]:
        """Apply a version in the test's own process. Raises StepError."""
        with (
            self.target(patience_s, take_over) as opened,
            rollout.admitted(made.registered, made.verdict, made.model) as admitted,
        ):
            return rollout.apply(opened, admitted)

    def roll_back(self) -> dict[str, Any]:
        """Go back in the test's own process."""
        with self.target() as opened:
            return opened.roll_back("slow")

    def try_canary(self, made: Made, percent: int, patience_s: int = 15) -> dict[str, Any]:
        """A canary in the test's own process. Raises StepError."""
        with (
            self.target(patience_s) as opened,
            rollout.admitted(made.registered, made.verdict, made.model) as admitted,
        ):
            return rollout.apply_canary(opened, admitted, percent)

    def standing(self) -> Standing:
        """What the cluster says of its versions."""
        with self.target() as opened:
            return opened.standing()

    def live(self) -> dict[str, Any]:
        """The InferenceService."""
        return dict(self.api.get(NAME))

    @property
    def uri(self) -> str:
        """What it serves."""
        return str(self.live()["spec"]["predictor"]["model"]["storageUri"])


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Chain and key of the API."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "api")


@pytest.fixture(params=RELEASES)
def product(request: pytest.FixtureRequest) -> str:
    """Each release whose CRDs are published."""
    return str(request.param)


@pytest.fixture
def place(product: str, tmp_path: Path, certificate: tuple[Path, Path]) -> Iterator[Place]:
    """A cluster of one release."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    (tmp_path / "token").write_text(POD_TOKEN)
    with ExitStack() as stack:
        api = stack.enter_context(kubernetes_api.serving(kubernetes_api.schema(product), context))
        if product != "rhoai-2.22":
            api.webhook = normalize_mode
        models = Controller(api, NAME, tmp_path, {}, tmp_path / "token")
        controller = stack.enter_context(at_work(models))
        yield Place(api, controller, tmp_path, write_kubeconfig(tmp_path, api.url, certificate[0]))


def write_kubeconfig(folder: Path, url: str, authority: Path | None, **cluster: Any) -> Path:
    """A kubeconfig with the account's token."""
    about = {"server": url, **({"certificate-authority": str(authority)} if authority else {}), **cluster}
    content = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": about}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": NAMESPACE}}],
    }  # fmt: skip
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(content))
    return file
