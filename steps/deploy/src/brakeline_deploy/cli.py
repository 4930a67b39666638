"""`brakeline-deploy`: plan, apply and roll back the version that a server or a cluster serves."""

from pathlib import Path
from typing import Annotated

from stepkit import artifacts
from stepkit.app import Result, StepApp
from stepkit.errors import UsageError
from stepkit.executor import ExecutorInput
from stepkit.signature import input_artifact, number, output_artifact, output_lineage, share, text, whole_number

from brakeline_deploy import __version__

DEFAULT_NAME, DEFAULT_STORE = "stopping-distance", ".brakeline/models"
_STORE = "Model store that the server follows, folder or s3://, or kserve://NAMESPACE/SERVICE?runtime=NAME"

Model = Annotated[
    Path | None, input_artifact("Model of train; else the registered URI is read", "Model", optional=True)
]
Verdict = Annotated[Path, input_artifact("Verdict of validate about this very model")]
Registered = Annotated[Path, input_artifact("Version to serve, of register add")]
Store = Annotated[str, text(_STORE)]
Name = Annotated[str, text("Registered model's name")]
Server = Annotated[str, text("URL of the server; if empty, this machine's port 8080, or where the service says")]
StorageUri = Annotated[str, text("Where a cluster reads the model; if empty, the registered or the pipeline's URI")]
TokenFile = Annotated[str, text("File of the token that the server wants, shown over TLS alone")]
CaBundle = Annotated[str, text("File of certificates to trust beside the usual ones")]
VerifyKey = Annotated[str, text("File of a public key to verify the signature by; BRAKELINE_VERIFY_KEY's if empty")]
TakeOver = Annotated[bool, text("Change fields of the InferenceService that others manage")]
Patience = Annotated[int, whole_number("Patience [s]; if 0, 60 with a server and 600 with a cluster", high=3600)]

app = StepApp("brakeline-deploy", __version__, "Serve a registered model, prove it, or go back.")


@app.step("apply", of_the_world=True)
def apply(
    given: ExecutorInput,
    passed_verdict: Verdict,
    registered: Registered,
    endpoint: Annotated[Path, output_artifact("Where the model answers, JSON")],
    origin: Annotated[
        Path | None, output_lineage("What this call was made from, and from what that", optional=True)
    ] = None,
    model: Model = None,
    model_store: Store = DEFAULT_STORE,
    server: Server = "",
    timeout_seconds: Patience = 0,
    storage_uri: StorageUri = "",
    token_file: TokenFile = "",
    ca_bundle: CaBundle = "",
    take_over: TakeOver = False,
    verify_key: VerifyKey = "",
    shadow: Annotated[bool, text("Give the version a copy of the traffic; local store alone")] = False,
    after_requests: Annotated[int, whole_number("Requests to compare before a shadow takes over; 0: never")] = 0,
    within_m: Annotated[float, number("How far a shadow's median may be from the primary's [m]", low=0.0)] = 0.5,
    within_share: Annotated[float, share("Share of the rows that must be within it")] = 1.0,
    shadow_seconds: Annotated[int, whole_number("Patience with the traffic [s]", low=1, high=604_800)] = 3600,
    canary_percent: Annotated[int, whole_number("Share of the requests for a canary [%]; cluster alone", high=99)] = 0,
) -> Result:
    """Serve a registered version and prove it by its golden request; refuse (65) without a passed verdict."""
    from brakeline_deploy import places, rollout
    from brakeline_deploy.target import Trial

    _require_one_manner(shadow, after_requests, canary_percent)
    with rollout.admitted(
        registered, passed_verdict, model, storage_uri, places.recorded_uri(given), verify_key=verify_key
    ) as release:
        asked = places.Asked(model_store, release.name, server, token_file, ca_bundle, timeout_seconds, take_over)
        with places.opened(asked, at_work=True) as target:
            if shadow:
                trial = Trial(after_requests, within_m, within_share) if after_requests else None
                done = rollout.apply_after_trial(target, release, trial, shadow_seconds)
            elif canary_percent:
                done = rollout.apply_canary(target, release, canary_percent)
            else:
                done = rollout.apply(target, release)
    artifacts.write_json(endpoint, done)
    return Result(metadata={"endpoint": {"url": done["url"], "version": done["version"]}}, facts=done)


@app.step("plan", of_the_world=True)
def plan(
    given: ExecutorInput,
    passed_verdict: Verdict,
    registered: Registered,
    model: Model = None,
    model_store: Store = DEFAULT_STORE,
    storage_uri: StorageUri = "",
    take_over: TakeOver = False,
    verify_key: VerifyKey = "",
) -> Result:
    """Say what `apply` would change, as a diff, and change nothing."""
    from brakeline_deploy import places, rollout

    with (
        rollout.admitted(
            registered, passed_verdict, model, storage_uri, places.recorded_uri(given), verify_key=verify_key
        ) as release,
        places.opened(places.Asked(model_store, release.name, take_over=take_over)) as target,
    ):
        told = rollout.tell(target, release)
    return Result(facts={"name": release.name, **told.describe()})


@app.step("rollback", of_the_world=True)
def rollback(
    model_store: Store = DEFAULT_STORE,
    name: Name = DEFAULT_NAME,
    server: Server = "",
    timeout_seconds: Patience = 0,
    token_file: TokenFile = "",
    ca_bundle: CaBundle = "",
    why: Annotated[str, text("Why, for the record")] = "",
    instead_of: Annotated[str, text("Version to go back from; one gone back from last changes nothing again")] = "",
    registered: Annotated[
        Path | None, input_artifact("That version, of register fetch, where its signature is asked for", optional=True)
    ] = None,
    model: Model = None,
    verify_key: VerifyKey = "",
) -> Result:
    """Serve the version that was proven before the present one; a server that is named must say that it does."""
    from brakeline_deploy import places, returning

    admit = returning.signed(registered, model, verify_key)
    asked = places.Asked(model_store, name, server, token_file, ca_bundle, timeout_seconds)
    with places.opened(asked, at_work=True, proves=False) as target:
        return Result(facts=target.roll_back(why, admit, instead_of))


@app.step("status", of_the_world=True)
def status(model_store: Store = DEFAULT_STORE, name: Name = DEFAULT_NAME) -> Result:
    """Tell which version serves, which was proven last, which is before it, and what happened last."""
    from brakeline_deploy import places

    with places.opened(places.Asked(model_store, name)) as target:
        return Result(facts={"name": name, **target.standing().describe()})


@app.step("prune", of_the_world=True)
def prune(
    versions: Annotated[str, text("Versions to remove from the model store, as 1,2,3")] = "",
    model_store: Store = DEFAULT_STORE,
    name: Name = DEFAULT_NAME,
    dry_run: Annotated[bool, text("Say what would go, and change nothing")] = False,
) -> Result:
    """Remove versions' graphs from a model store; refuse (65) what serves, its shadow, and what is gone back to."""
    from brakeline_deploy import places

    listed = [version.strip() for version in versions.split(",") if version.strip()]
    gone = places.pruned(places.Asked(model_store, name), listed, dry_run)
    return Result(facts={"name": name, "dry_run": dry_run, "versions": gone})


def _require_one_manner(shadow: bool, after_requests: int, canary_percent: int) -> None:
    """A trial that was asked for is not left out without a word."""
    if after_requests and not shadow:
        raise UsageError(f"--after-requests: found {after_requests} without --shadow, allowed with it alone")
    if shadow and canary_percent:
        raise UsageError(f"--canary-percent: found {canary_percent} with --shadow, allowed one of the two")
