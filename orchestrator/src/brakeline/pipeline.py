"""The pipeline as a diagram: calls, edges, one gate."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, Dataset, Input, Model

from brakeline import components as step
from brakeline.platform import AT_ONCE, settle

NAME = "brakeline"


@dsl.pipeline(name="release")
def release(
    model: Input[Model],
    verdict: Input[Artifact],
    dossier: Input[HTML],
    lineage: Input[Artifact],
    passed: bool,
    auto_deploy: bool,
    registry: str,
    name: str,
    keep: str,
    model_store: str,
    server: str,
    deploy_timeout_seconds: int,
):
    """What follows a passed verdict. A pipeline of its own, because a condition beside a loop never holds locally."""
    with dsl.If(passed == True):  # noqa: E712  an expression of KFP's
        register = step.register(
            model=model,
            passed_verdict=verdict,
            dossier=dossier,
            lineage=lineage,
            registry=registry,
            name=name,
            keep=keep,
            pipeline=NAME,
        )
        version = register.outputs["registered"]
        settle(register=register)
        with dsl.If(auto_deploy == True):  # noqa: E712
            deploy = step.deploy(
                model=model,
                passed_verdict=verdict,
                registered=version,
                model_store=model_store,
                server=server,
                timeout_seconds=deploy_timeout_seconds,
            )
            promote = step.promote(registered=version, registry=registry, by="pipeline").after(deploy)
            settle(deploy=deploy, promote=promote)


@dsl.pipeline(name=NAME, description="Sensor data in, a stopping-distance model that passed its gates out, and served.")
def brakeline(
    recorded: str,
    registry: str,
    model_store: str,
    server: str,
    rows: int = 400_000,
    holdout_rows: int = 60_000,
    faulty_rows: int = 40_000,
    scenario: str = "default",
    seed: int = 0,
    trials: int = 8,
    finalists: int = 3,
    data_shards: list[str] = ["0/2", "1/2"],  # noqa: B006  KFP copies it into the compiled pipeline
    search_shards: list[str] = ["0/2", "1/2"],  # noqa: B006
    refine_shards: list[str] = ["0/2", "1/2"],  # noqa: B006
    name: str = "stopping-distance",
    keep: str = "",
    auto_deploy: bool = True,
    deploy_timeout_seconds: int = 60,
):
    """Synthesize, train, validate and, if the gates let it pass, release."""
    stops = dsl.importer(artifact_uri=recorded, artifact_class=Dataset, reimport=False)
    with dsl.ParallelFor(data_shards, parallelism=AT_ONCE) as shard:
        synthesize = step.synthesize(
            rows=rows, holdout_rows=holdout_rows, faulty_rows=faulty_rows, scenario=scenario, seed=seed, shard=shard
        )
    parts = dsl.Collected(synthesize.outputs["part"])
    assemble = step.assemble(parts=parts, recorded=stops.output)
    dataset, holdout = assemble.outputs["dataset"], assemble.outputs["holdout"]
    floor = step.floor(holdout=holdout, seed=seed)

    with dsl.ParallelFor(search_shards, parallelism=AT_ONCE) as shard:
        search = step.search(dataset=dataset, trials=trials, seed=seed, shard=shard)
    # What a loop collects cannot enter another loop: the compiler dies of it, and through a nested pipeline the
    # cluster's driver keeps one artifact of the list.
    rank = step.rank(scored=dsl.Collected(search.outputs["results"]))
    with dsl.ParallelFor(refine_shards, parallelism=AT_ONCE) as shard:
        scored = rank.outputs["ranking"]
        refine = step.refine(dataset=dataset, scored=scored, finalists=finalists, seed=seed, shard=shard)
    fit = step.fit(dataset=dataset, results=dsl.Collected(refine.outputs["results"]), seed=seed)

    champion = step.champion(registry=registry, name=name)
    validate = step.validate(
        model=fit.outputs["model"],
        holdout=holdout,
        faulty=assemble.outputs["faulty"],
        floor=floor.outputs["floor"],
        champion=champion.outputs["live"],
    )
    record = step.record(verdict=validate.outputs["verdict"], registry=registry, name=name)
    release(
        model=fit.outputs["model"],
        verdict=validate.outputs["verdict"],
        dossier=validate.outputs["dossier"],
        lineage=validate.outputs["lineage"],
        passed=validate.outputs["passed"],
        auto_deploy=auto_deploy,
        registry=registry,
        name=name,
        keep=keep,
        model_store=model_store,
        server=server,
        deploy_timeout_seconds=deploy_timeout_seconds,
    ).after(record)
    settle(
        synthesize=synthesize,
        assemble=assemble,
        floor=floor,
        search=search,
        rank=rank,
        refine=refine,
        fit=fit,
        champion=champion,
        validate=validate,
        record=record,
    )
