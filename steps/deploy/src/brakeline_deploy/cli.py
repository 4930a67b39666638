"""`brakeline-deploy`: plan, apply and roll back the version that a server serves."""

from pathlib import Path
from typing import Annotated

from stepkit import artifacts
from stepkit.app import Result, StepApp
from stepkit.signature import input_artifact, output_artifact, text, whole_number

from brakeline_deploy import __version__

DEFAULT_NAME, DEFAULT_STORE, DEFAULT_SERVER = "stopping-distance", ".brakeline/models", "http://127.0.0.1:8080"

Model = Annotated[Path, input_artifact("Model of train", kind="Model")]
Verdict = Annotated[Path, input_artifact("Verdict of validate about this very model")]
Registered = Annotated[Path, input_artifact("Version to serve, of register add")]
Store = Annotated[str, text("Folder of the model store that the server follows")]

app = StepApp("brakeline-deploy", __version__, "Serve a registered model, prove it, or go back.")


@app.step("apply", of_the_world=True)
def apply(
    model: Model,
    passed_verdict: Verdict,
    registered: Registered,
    endpoint: Annotated[Path, output_artifact("Where the model answers, JSON")],
    model_store: Store = DEFAULT_STORE,
    server: Annotated[str, text("URL of the server")] = DEFAULT_SERVER,
    timeout_seconds: Annotated[int, whole_number("Patience with the server", low=1, high=3600)] = 60,
) -> Result:
    """Serve a registered version and prove it by its golden request; refuse (65) without a passed verdict."""
    from brakeline_deploy import rollout
    from brakeline_deploy.endpoint import Endpoint
    from brakeline_deploy.store import ModelStore

    known = rollout.read_registered(registered, passed_verdict, model)
    store = ModelStore(Path(model_store), known["name"])
    done = rollout.apply(store, Endpoint(server, known["name"]), known, model, timeout_seconds)
    artifacts.write_json(endpoint, done)
    return Result(metadata={"endpoint": {"url": done["url"], "version": done["version"]}}, facts=done)


@app.step("plan", of_the_world=True)
def plan(model: Model, passed_verdict: Verdict, registered: Registered, model_store: Store = DEFAULT_STORE) -> Result:
    """Say what `apply` would change, and change nothing."""
    from brakeline_deploy import rollout
    from brakeline_deploy.store import ModelStore

    known = rollout.read_registered(registered, passed_verdict, model)
    now = ModelStore(Path(model_store), known["name"]).primary()
    return Result(
        facts={"name": known["name"], "now": now, "then": known["version"], "changes": now != known["version"]}
    )


@app.step("rollback", of_the_world=True)
def rollback(
    model_store: Store = DEFAULT_STORE, name: Annotated[str, text("Registered model's name")] = DEFAULT_NAME
) -> Result:
    """Serve the version that was in service before the present one."""
    from brakeline_deploy import rollout
    from brakeline_deploy.store import ModelStore

    return Result(facts=rollout.roll_back(ModelStore(Path(model_store), name)))
