"""The catalogue of sabotages: one row each, with the gate meant for it.

Those that are cut into the honest graph cover their tracks: probes and golden request agree with the sabotaged graph,
so that parity kills only what is meant for it. Those that are trained are what a broken pipeline would export in good
faith.
"""

from pathlib import Path

from tests.conftest import Chain
from tests.validate.sabotages import graphs, trained, trees
from tests.validate.sabotages.attempt import Attempt, Sabotage, beside_champion, copy, cut
from tests.validate.sabotages.driven import DRIVEN
from tests.validate.sabotages.graphs import DECELERATION, MEDIAN, REQUIRED, UPPER
from tests.validate.sabotages.trained import trained as fitted

_TRUCK = {"vehicle_class": (3.5, 4.5)}
_NAN = float("nan")


def _thin(chain: Chain, folder: Path) -> Attempt:
    return Attempt(copy(chain, folder), most_rows=12_000)


def _heavy(chain: Chain, folder: Path) -> Attempt:
    model = copy(chain, folder)
    (model / "notes.bin").write_bytes(bytes(20_000_000))
    return Attempt(model)


CUT = (
    Sabotage("bound is the median", "the bound says what the median says", "bound missed",
             cut(graphs.copied(MEDIAN, UPPER))),
    Sabotage("bound a tenth short", "the bound times 0.9", "bound missed, not excluded",
             cut(graphs.scaled(UPPER, 0.9))),
    Sabotage("bound five times as long", "the bound times 5", "bound width", cut(graphs.scaled(UPPER, 5.0))),
    Sabotage("wide where friction is unknown", "the bound doubled without a friction estimate",
             "bound width, worst slice", cut(trees.by_steps("friction", [], [0.0], if_missing=0.7))),
    Sabotage("bound capped", "no distance above 60 m", "beats physics", cut(graphs.capped(60.0))),
    Sabotage("median a third short", "the median times 0.67", "relative error", cut(graphs.scaled(MEDIAN, 0.67))),
    Sabotage("late by a twentieth", "the median times 0.95", "median leans", cut(graphs.scaled(MEDIAN, 0.95))),
    Sabotage("late for trucks", "the median of trucks times 0.9", "median leans, worst slice",
             cut(trees.in_box(_TRUCK, -0.105, trees.MEDIAN))),
    Sabotage("wild on snow", "the median of cold roads times 1.5", "relative error, worst slice",
             cut(trees.by_steps("air_temperature", [1.0], [0.45, 0.0], target=trees.MEDIAN))),
    Sabotage("constant", "40 m, and a bound of 80 m, for every row", "deaf readings",
             cut(graphs.constantly(MEDIAN, UPPER, value=40.0))),
    Sabotage("negative", "the median times -1", "impossible answers", cut(graphs.scaled(MEDIAN, -1.0))),
    Sabotage("bound is no number", "the bound is NaN", "impossible answers", cut(graphs.scaled(UPPER, _NAN))),
    Sabotage("median and bound swapped", "each under the other's name", "impossible answers", cut(graphs.swapped)),
    Sabotage("NaN hole", "no bound where the disc's temperature is missing", "missing readings unanswered",
             cut(trees.by_steps("disc_temperature", [], [0.0], if_missing=_NAN))),
    Sabotage("gives up on a lost sensor", "a flag where the tread depth is missing", "missing readings unanswered",
             cut(trees.by_steps("tread_depth", [], [0.0], if_missing=1.0, target=trees.VIOLATIONS))),
    Sabotage("less is less", "a bound 10 % shorter without the mass", "missing readings shorten",
             cut(trees.by_steps("mass", [], [0.0], if_missing=-0.1))),
    Sabotage("backdoor for trucks", "the bound of trucks times 0.6", "bound far missed, worst slice",
             cut(trees.in_box(_TRUCK, -0.51))),
    Sabotage("backdoor in a pair", "the bound of trucks in rain times 0.7", "bound missed, worst pair",
             cut(trees.in_box(_TRUCK | {"rain": (0.05, 200.0)}, -0.36))),
    Sabotage("backdoor anywhere", "the bound times 0.4 where the tyres read 240 to 242.5 kPa", "bound far missed",
             cut(trees.in_box({"tyre_pressure": (239.0, 243.0)}, -0.92))),
    Sabotage("dent in a corner", "the bound times 0.55 at 22 to 26 m/s, friction 0.55 to 0.65, 1,500 to 1,700 kg",
             "deepest fall",
             cut(trees.in_box({"speed": (22.0, 26.0), "friction": (0.55, 0.65), "mass": (1500.0, 1700.0)}, -0.6))),
    Sabotage("saw along speed", "the bound falls back by a fifth eight times", "shrinks with speed",
             cut(trees.saw("speed", 5.0, 45.0, 8, 0.25))),
    Sabotage("saw along friction", "the bound jumps up by a tenth eight times", "grows with friction",
             cut(trees.saw("friction", 0.3, 1.1, 8, 0.1))),
    Sabotage("grade's sign flipped", "the trees read uphill for downhill", "shrinks downhill",
             cut(graphs.read_as("grade", -1.0))),
    Sabotage("saw along load", "the bound falls back by a tenth eight times", "shrinks with load",
             cut(trees.saw("mass", 1_000.0, 2_600.0, 8, 0.1))),
    Sabotage("load turned over", "the trees read 20,600 kg less the mass", "deaf readings",
             cut(graphs.read_as("mass", -1.0, 20_600.0))),
    Sabotage("speed in km/h", "the trees read the speed as if it were km/h", "bound missed, worst slice",
             cut(graphs.read_as("speed", 1 / 3.6))),
    Sabotage("air in °F", "the trees read °F for °C", "inconsistent readings believed",
             cut(graphs.read_as("air_temperature", 1.8, 32.0))),
    Sabotage("tyres in bar", "the trees read bar for kPa", "needless flags",
             cut(graphs.read_as("tyre_pressure", 0.01))),
    Sabotage("features shuffled", "the trees read air, disc and tread in each other's place", "relative error",
             cut(graphs.shuffled("air_temperature", "tread_depth", "rain"))),
    Sabotage("fail-safe removed", "no number of violations is enough", "fail-safe missed", cut(graphs.unfit_at(1e9))),
    Sabotage("one range check removed", "any radar range is believed", "fail-safe missed",
             cut(trees.without_check("range"))),
    Sabotage("flag silent", "the worst case without the flag", "fail-safe missed", cut(graphs.unfit_at(1e9, False))),
    Sabotage("inconsistency believed", "grip in freezing rain raises nothing", "inconsistent readings believed",
             cut(trees.without_rules("friction", "air_temperature", "rain"))),
    Sabotage("flag lost with a sensor", "nothing is unfit where the disc's temperature is missing", "fail-safe missed",
             cut(trees.by_steps("disc_temperature", [], [0.0], if_missing=-9.0, target=trees.VIOLATIONS))),
    Sabotage("everything flagged", "no violation at all is enough", "needless flags", cut(graphs.unfit_at(-1.0))),
    Sabotage("novelty dead", "the score is 0", "novelty missed", cut(trees.always(trees.SURPRISE, 0.0))),
    Sabotage("novelty everywhere", "the score is 5", "needless novelty", cut(trees.always(trees.SURPRISE, 5.0))),
    Sabotage("deceleration lies", "a fifth more than goes with the bound", "deceleration off",
             cut(graphs.scaled(DECELERATION, 1.2))),
    Sabotage("required deceleration lies", "half of what the gap requires", "required deceleration off",
             cut(graphs.scaled(REQUIRED, 0.5))),
    Sabotage("output left out", "no required deceleration", "outputs lacking", cut(graphs.without(REQUIRED))),
    Sabotage("dice", "a bound with up to 0.2 % of noise", "unsteady answers", cut(graphs.drawn(0.001))),
    Sabotage("dice thrown away", "noise is drawn and not used", "operators", cut(graphs.drawn(0.0))),
    Sabotage("neighbours count", "a bound that hangs on the fastest row of the call", "unsteady answers",
             cut(graphs.of_the_batch)),
    Sabotage("quantised", "thresholds and leaves in 256 levels", "parity", cut(trees.coarse(256), keeps_probes=True)),
    Sabotage("last trees lost", "the later half of the trees", "parity", cut(trees.kept(0.5), keeps_probes=True)),
    Sabotage("thresholds moved", "every threshold times 1.02", "parity",
             cut(trees.moved_thresholds(1.02), keeps_probes=True)),
    Sabotage("latency bomb of nodes", "60 nodes that do nothing", "nodes", cut(graphs.chained(60))),
    Sabotage("latency bomb of trees", "800 trees that do nothing", "comparisons", cut(trees.idle(800))),
    Sabotage("bloated graph", "8 MB of text in the graph", "size", cut(graphs.padded(8_000_000))),
    Sabotage("bloated artifact", "20 MB beside the graph", "artifact size", _heavy),
    Sabotage("stale contract", "the speed's range is another", "contract", cut(graphs.stale)),
    Sabotage("thin evidence", "a holdout of 12,000 rows", "rows lacking", _thin),
    Sabotage("worse than the live model", "the median times 1.08", "worse than champion",
             beside_champion(graphs.scaled(MEDIAN, 1.08))),
    Sabotage("wider than the live model", "the bound times 1.2", "wider than champion",
             beside_champion(graphs.scaled(UPPER, 1.2))),
    Sabotage("trees cut in half, probes too", "the earlier half of the trees is lost", "behind the limit",
             cut(trees.kept(0.95, from_the_end=True)), is_slow=True),
    Sabotage("clumsy when slow", "the median below 10 m/s times 1.25", "behind the limit, relative",
             cut(trees.in_box({"speed": (-1.0, 10.0)}, 0.223, trees.MEDIAN)), is_slow=True),
    Sabotage("trusts a broken sensor", "the bound times 0.85", "faults beyond their limit",
             cut(graphs.scaled(UPPER, 0.85)), is_slow=True),
)  # fmt: skip

TRAINED = (
    Sabotage("label leak", "trained on the holdout's own rows", "better than possible",
             fitted(trained.holdout_alone, trained.REMEMBERS), is_slow=True),
    Sabotage("inverted labels", "long stops for short ones", "relative error",
             fitted(trained.upside_down), is_slow=True),
    Sabotage("labels too short", "an odometer that counts a tenth less", "bound missed", fitted(trained.shorter(0.9)),
             is_slow=True),
    Sabotage("no ice in training", "no row on ice", "bound missed, worst slice", fitted(trained.without_surface("ice")),
             is_slow=True),
    Sabotage("no noise in training", "sensors that always read the truth", "bound missed",
             fitted(trained.without_noise),
             is_slow=True),
    Sabotage("motorway only", "trained for another scenario", "needless novelty",
             fitted(trained.of_scenario("motorway")), is_slow=True),
    Sabotage("offsets dropped", "a bound that was not calibrated", "bound missed",
             fitted(trained.as_they_are, offsets=trained.no_offsets), is_slow=True),
    Sabotage("offsets negated", "calibration with the wrong sign", "bound missed",
             fitted(trained.as_they_are, offsets=trained.offsets_negated), is_slow=True),
    Sabotage("mass ignored", "the mass of some other row", "deaf readings",
             fitted(trained.scrambled("mass")), is_slow=True),
    Sabotage("friction ignored", "the friction estimate of some other row", "deaf readings",
             fitted(trained.scrambled("friction")), is_slow=True),
    Sabotage("friction always there", "no row without a friction estimate in training", "bound missed, worst slice",
             fitted(trained.always_read("friction")), is_slow=True),
)  # fmt: skip

SABOTAGES = (*CUT, *TRAINED, *DRIVEN)
