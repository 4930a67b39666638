"""Who may ask where: addresses, tokens and certificates, and what is said where one of them will not do."""

import json
import os
from pathlib import Path

import pytest
from brakeline import access as accesses
from brakeline import kfp_client
from brakeline.access import Refused, UnusableAccess, access

from tests.cluster import kfp_server
from tests.cluster.kfp_server import Api
from tests.serving.certificates import make_certificate


@pytest.mark.parametrize("url", ["http://kfp.test.invalid", "ftp://127.0.0.1", "kfp.test.invalid", "https://", ""])
def test_only_https_leaves_this_machine(url: str) -> None:
    """In the clear is for the loopback alone; each refusal says what is allowed."""
    with pytest.raises(UnusableAccess, match="https"):
        access(url)


def test_an_address_never_carries_a_secret() -> None:
    """A password in the URL is refused, and not repeated in the message."""
    with pytest.raises(UnusableAccess) as refused:
        access("https://me:hunter2@kfp.test.invalid")
    assert "hunter2" not in str(refused.value)


def kubeconfig(folder: Path, user: dict[str, str]) -> Path:
    file = folder / "kubeconfig"
    file.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "b",
        "clusters": [{"name": "c", "cluster": {"server": "https://api.test.invalid:6443"}}],
        "users": [{"name": "ua", "user": {"token": "the-other-contexts"}}, {"name": "ub", "user": user}],
        "contexts": [{"name": n, "context": {"cluster": "c", "user": f"u{n}", "namespace": "n"}} for n in "ab"],
    }))  # fmt: skip
    return file


def test_the_token_is_of_the_kubeconfigs_current_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `oc login` leaves it; another context's is not taken."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, {"token": "sha256~mine"})))
    found = access("https://kfp.test.invalid")
    assert found.token() == "sha256~mine"
    assert "current context" in found.token_from


def test_a_context_without_a_token_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client certificate opens no route."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, {"username": "me"})))
    with pytest.raises(UnusableAccess, match="oc login"):
        access("https://kfp.test.invalid").token()


@pytest.mark.parametrize("text", ["users: [{user: {token: sha256~mine: x}}]", "- sha256~mine", "a: \t- }"])
def test_what_is_no_kubeconfig_is_refused_and_not_quoted(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken YAML, or YAML of something else."""
    (tmp_path / "kubeconfig").write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with pytest.raises(UnusableAccess, match="oc login") as told:
        access("https://kfp.test.invalid").token()
    assert "sha256~mine" not in str(told.value)


def test_a_file_goes_before_the_kubeconfig_and_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that was renewed is the one that is sent."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, {"token": "sha256~mine"})))
    monkeypatch.setenv("BRAKELINE_KFP_TOKEN_FILE", str(tmp_path / "token"))
    (tmp_path / "token").write_text("first\n")
    found = access("https://kfp.test.invalid")
    assert found.token() == "first"
    (tmp_path / "token").write_text("second\n")
    assert found.token() == "second"
    (tmp_path / "token").write_text("two\nlines\n")
    with pytest.raises(UnusableAccess, match="no token"):
        found.token()


def test_a_pod_asks_as_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With neither file nor kubeconfig it is the mounted token; with none of them it says where it looked."""
    monkeypatch.setattr(accesses, "SERVICE_ACCOUNT", tmp_path / "account")
    with pytest.raises(UnusableAccess, match="oc login"):
        access("https://kfp.test.invalid")
    (tmp_path / "account").mkdir()
    (tmp_path / "account" / "token").write_text("the-pods")
    assert access("https://kfp.test.invalid").token() == "the-pods"


def test_a_kubeconfigs_token_is_not_sent_in_the_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To a port of the loopback goes a token only where a file was named for it."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, {"token": "sha256~mine"})))
    assert access("http://127.0.0.1:8888").token() == ""


def test_own_certificates_are_trusted_and_others_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CA that is named makes the connection; without it none is made, and the message names the setting."""
    chain, key = make_certificate(tmp_path, "cluster")
    (tmp_path / "token").write_text(kfp_server.TOKEN)
    monkeypatch.setenv("BRAKELINE_KFP_TOKEN_FILE", str(tmp_path / "token"))
    with kfp_server.serving((chain, key)) as api:
        with pytest.raises(UnusableAccess, match="BRAKELINE_KFP_CA"), kfp_client.told("pipelines"):
            kfp_client.connect(access(api.url)).list_pipelines()
        monkeypatch.setenv("BRAKELINE_KFP_CA", str(chain))
        with kfp_client.told("pipelines"):
            kfp_client.connect(access(api.url)).list_pipelines()
        assert api.authorizations == {f"Bearer {kfp_server.TOKEN}"}


def test_a_ca_file_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is named has to be there and to be certificates."""
    for content in (None, "no certificate"):
        if content:
            (tmp_path / "ca.pem").write_text(content)
        monkeypatch.setenv("BRAKELINE_KFP_CA", str(tmp_path / "ca.pem"))
        with pytest.raises(UnusableAccess, match="PEM"):
            access("http://127.0.0.1:1")


@pytest.mark.parametrize("kind", [401, "login", "nonsense", 403])
def test_a_token_that_is_not_accepted_is_said_so(api: Api, kind: int | str) -> None:
    """An expired token, a login page and a missing right end at once with 65, and no message holds the token."""
    api.faults.append(kfp_server.Fault("List", kind, 99))
    with pytest.raises(Refused) as refused, kfp_client.told("pipelines"):
        kfp_client.connect(access()).list_pipelines()
    assert refused.value.exit_code == 65
    assert api.token not in str(refused.value)
    assert api.calls == ["PipelineService_ListPipelines"]


def test_the_clients_own_files_are_left_alone(api: Api) -> None:
    """Connecting writes nothing into the home, and asks nothing."""
    kfp_client.connect(access())
    assert api.calls == []
    assert sorted(file.name for file in Path(os.environ["HOME"]).iterdir()) == ["token"]


def test_kfp_still_has_what_is_touched() -> None:
    """Each internal of the client that is replaced or called is there under its name."""
    for owner, names in kfp_client.INTERNALS.items():
        for name in names:
            assert callable(getattr(owner, name)), f"{owner}.{name}"
