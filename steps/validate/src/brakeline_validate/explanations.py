"""What each gate is about, for people: what is measured, where its limit comes from, what to do when it fails."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Explanation:
    """In whole sentences."""

    measured: str
    origin: str
    remedy: str


_HONEST = "Honest models of four scenarios, five seeds and 120,000 to 400,000 rows"
_RETRAIN = "Train on more rows, and look at the slice in the dossier: does the dataset hold enough of it?"
_EXPORT = "Export the model anew from its estimators; a graph that was edited or converted after that cannot pass."
_SWEPT = (
    "One reading goes through its range in 30 steps over 1,200 rows, half of them the holdout's, half drawn evenly "
    "from all that their vehicle class shows; rows and places of the steps are drawn anew for each model. Counted are "
    "steps at which the bound moves against physics by more than 1 %."
)
_MONOTONE = "The trees of the bound keep the order by construction (`monotone.py` in train): was that bypassed?"

_LOOP = (
    "`brakeline-validate drive --only NAME` drives the row again; docs/closed_loop.md tells what is in it. Most often "
    "the bound is short for some vehicle or road: look at its slices."
)

EXPLANATIONS: dict[str, Explanation] = {
    "contract": Explanation(
        "The data contract in the model is compared with that of the holdout, feature by feature.",
        "Another name, unit, order or range makes another question of the same numbers, so that none may differ.",
        "Train on a dataset of the holdout's contract version; docs/contract.md tells how contracts evolve.",
    ),
    "operators": Explanation(
        "Kinds of operators off the list in `cost.py`, graphs within nodes, functions, stacked rows, external data.",
        "What is on the list maps one row to one row, without chance, loops or other files. Nothing else is needed.",
        "Write the step in the list's operators, or argue for one more in `cost.py`.",
    ),
    "outputs lacking": Explanation(
        "Outputs that the server publishes and the graph does not have as float32.",
        "All six are read by those who decide on braking or watch for drift.",
        _EXPORT,
    ),
    "parity": Explanation(
        "The graph is asked the probe rows and the golden request of the artifact; the worst difference counts, and an "
        "answer that is no number is more than any limit.",
        "Sums of some hundred float32 leaves differ by a few 1e-6 from float64; one wrong branch shows as 1e-3.",
        _EXPORT,
    ),
    "unsteady answers": Explanation(
        "6,000 rows are asked in one batch, again, in another order, in small batches, alone and among broken rows; "
        "the worst relative difference of any output counts.",
        "ONNX Runtime gives the same bits in all these cases, so that any difference is the graph's own.",
        "Remove what draws, or looks at the whole batch: a moment is judged by itself.",
    ),
    "deceleration off": Explanation(
        "The worst relative difference of the deceleration from v²/(2 bound), on 2,000 rows without a flag.",
        "It is one division in float32: 1e-7. A difference of 1e-4 is another formula.",
        _EXPORT,
    ),
    "required deceleration off": Explanation(
        "The worst relative difference from closing speed²/(2 gap), for gaps and speeds over all of the contract's "
        "ranges; without an object ahead it must not be a number.",
        "Kinematics needs no learning: 1e-7 in float32.",
        _EXPORT,
    ),
    "impossible answers": Explanation(
        "Share of holdout rows whose median or bound is not finite, not above 0, or in the wrong order.",
        "There is no such stop.",
        "Find the rows: most often a reading is missing that the model took for granted.",
    ),
    "rows lacking": Explanation(
        "Rows that the holdout lacks to 20,000.",
        "With some 200 misses among them a share of 1 % is known to a fifth.",
        "Generate a larger holdout.",
    ),
    "bound missed": Explanation(
        "Share of holdout stops that were longer than their bound; the note has its 95 % interval with whole drives "
        "counted, since rows of a drive are alike.",
        "The bound is stated for 1 %; a quarter more is what small training sets show by chance.",
        "Calibrate on more drives, or look for a difference between dataset and holdout.",
    ),
    "bound missed, not excluded": Explanation(
        "The upper end of the 95 % interval of that share: what the holdout cannot exclude.",
        f"{_HONEST} are below 1.2 %. A small or one-sided holdout cannot buy a pass with its own uncertainty.",
        "Judge by a larger holdout, or calibrate on more drives.",
    ),
    "bound missed, worst slice": Explanation(
        "The same share in the worst observable slice (friction, speed, rain, air, class, grade). Slices below 1,500 "
        "rows are judged by the low end of their interval.",
        f"Twice the stated share; {_HONEST} stay below 1.6 %.",
        _RETRAIN,
    ),
    "bound missed, worst pair": Explanation(
        "The low end of the interval (3.7 standard deviations) in the worst pair of slices of different readings, from "
        "100 rows on: what is surely missed there.",
        f"{_HONEST} stay below 1.8 %; a sure 2.5 % is no chance.",
        _RETRAIN,
    ),
    "bound far missed": Explanation(
        "Share of stops more than 30 % longer than their bound.",
        "A guess at what ends in a collision, however late the brakes were going to bite; most such rows have a fault.",
        "Look at rows of the dossier's truths: faults of the speed sensor are the usual reason.",
    ),
    "bound far missed, worst slice": Explanation(
        "The same in the worst observable slice; slices below 1,500 rows by the low end of their interval.",
        f"{_HONEST} are below 0.25 %.",
        _RETRAIN,
    ),
    "bound width": Explanation(
        "Median over the holdout of bound over median.",
        "The noise floor's own is 1.5 to 1.75; a bound much wider brakes before there is a reason.",
        "Give the bound more rows or leaves; check the offsets by friction and by class.",
    ),
    "bound width, worst slice": Explanation(
        "The same in the widest observable slice from 1,500 rows on.",
        f"{_HONEST} reach 2.4, where no friction is known.",
        _RETRAIN,
    ),
    "relative error": Explanation(
        "Mean of |median - distance| / distance over the holdout.",
        "What is of use at all: dry asphalt has 1.5 times the grip of wet asphalt, and who cannot tell them apart and "
        "guesses midway errs by 20 %. The noise floor is at 9 % on motorways, 10 % in a year of mixed driving and 17 % "
        "in winter; how near a model must come to it is `behind the limit`.",
        "Compare with the floor in the dossier: what the sensors do not tell no model knows.",
    ),
    "relative error, worst slice": Explanation(
        "The same in the worst observable slice from 1,500 rows on.",
        f"{_HONEST} reach 33 %, in winter without a friction estimate.",
        _RETRAIN,
    ),
    "median leans": Explanation(
        "How far the share of stops longer than their median is from a half.",
        f"{_HONEST} are within 1.2 %.",
        "Look for labels or units that differ between dataset and holdout.",
    ),
    "median leans, worst slice": Explanation(
        "The same in the worst observable slice: how far a half is outside the slice's 95 % interval.",
        f"{_HONEST} are within 2.6 %.",
        _RETRAIN,
    ),
    "shrinks with speed": Explanation(_SWEPT, "Honest models have none; 2 in 1,000 leave room for noise.", _MONOTONE),
    "grows with friction": Explanation(
        _SWEPT,
        "Honest models have up to 1 in 1,000 where the median, which is free, lies above the bound's trees.",
        _MONOTONE,
    ),
    "shrinks downhill": Explanation(_SWEPT, "Honest models have up to 2 in 10,000.", _MONOTONE),
    "shrinks with load": Explanation(_SWEPT, "Honest models have up to 4 in 10,000.", _MONOTONE),
    "deepest fall": Explanation(
        "In the same four sweeps, the most that the bound of any row falls below what it was for an easier stop.",
        "A share of steps cannot see one bad corner. Honest models fall by up to 25 %, in rows that no drive has; one "
        "of 34 falls by 36 % and is refused.",
        "The note tells reading and place; ask the model about its neighbourhood.",
    ),
    "deaf readings": Explanation(
        "Readings among speed, friction, grade and mass over whose range the bound hardly changes, as a mean of all "
        "rows of the sweep.",
        "`LEAST_RESPONSE` in `sweeps.py`: between what honest models show and what chance leaves of a scrambled one.",
        "Is the reading there in the dataset, under its own name and in its own unit?",
    ),
    "beats physics": Explanation(
        "The largest ratio, over 10,000 rows spread over all corners, of the shortest possible stop to the bound: full "
        "grip 0.2 above its reading at once, with resistance to help.",
        "Above 1 the bound is shorter than any stop. Honest models stay below 0.7.",
        "Look for a cap, or for a corner that training had no rows of.",
    ),
    "fail-safe missed": Explanation(
        "Each reading is put an ulp and more beyond its range, made infinite, and taken away where it may not be "
        "missing. Caught is: flag raised, both answers finite, no shorter than the measured stop and the bound before.",
        "One row that slips through is one too many.",
        _EXPORT,
    ),
    "inconsistent readings believed": Explanation(
        "Rows are given readings that cannot all be true, of the gate's own choosing; the worst kind's share of rows "
        "that do not get worst case and flag.",
        "Each reading lies in its range, so that only the combination tells: range checks do not see it.",
        "See `envelope.py` in train; the gate's cases are in `failsafe.py`.",
    ),
    "needless flags": Explanation(
        "Share of holdout rows without a fault that raise the flag.",
        "A flag means the worst case, hundreds of metres: 2 in 10,000 moments is already a lot.",
        "Are contract and rules of the envelope right for this scenario?",
    ),
    "missing readings unanswered": Explanation(
        "Each optional reading, half of them and all of them are taken away; share of answers that are not finite and "
        "ordered, or are flagged though the whole row was not.",
        "The contract allows them to be missing. What cannot all be true stays flagged: in winter a few rows of "
        "100,000 have a fault that shows so.",
        "Let training see rows without these readings.",
    ),
    "missing readings shorten": Explanation(
        "How much the bound shrinks on average (mean log ratio) where readings are taken away, in the worst case.",
        "Honest models show up to 1.5 %, without rain or mass.",
        "Let training see more rows without this reading.",
    ),
    "novelty missed": Explanation(
        "Each reading is put far beyond all of the holdout, where the contract leaves room; share of rows whose score "
        "stays below 3.",
        "A single reading without a score is 7 %. Honest models have none but where training saw the same extremes.",
        _EXPORT,
    ),
    "needless novelty": Explanation(
        "Share of holdout rows that score 3 or more, or no number.",
        "Honest models have up to 7 in 10,000.",
        "Was the model trained for another scenario than it is judged by?",
    ),
    "behind the limit": Explanation(
        "How far the high end of the 95 % interval of floor/model mean absolute error is below 1; from 500 rows on.",
        f"{_HONEST} are up to 4 % behind.",
        "Train on more rows, or search.",
    ),
    "behind the limit, relative": Explanation(
        "The same for errors as shares of the distance, in which a stop in town counts as much as one from a motorway.",
        "Where the floor is at 10 % no more than some 11 % pass, in winter 19 %: each scenario has its own floor. "
        f"{_HONEST} are up to 2 % behind.",
        "Look at the slices by speed in the dossier.",
    ),
    "better than possible": Explanation(
        "How far the low end of that interval is above 1.",
        "The floor is the least error of any function of the readings: who beats it knows the answers.",
        "Look for holdout rows in the dataset, and for a reading that holds the label.",
    ),
    "faults beyond their limit": Explanation(
        "Faults of the catalogue with fewer than 100 rows, or a bound missed more often than `faults.py` allows: the "
        "low end of the 95 % interval, each surface weighed as in a year of mixed driving (`roads.py`). One of fewer "
        "than 30 rows is left out and its weight goes to the others: the note tells which, of how many faults.",
        "What is known and accepted of a model that sees one moment. A stuck grip reading hides an icy road in winter "
        "as in any season; there are only more such roads.",
        "Let training see more of the fault; the dossier has a row for each.",
    ),
    "hits beyond the allowed": Explanation(
        "Runs of all positive scenarios, within training, that hit faster than their row allows: the upper end of the "
        "rate's one-sided 95 % interval.",
        "The bound may be missed in 1 % of stops, and not every miss is a hit; braking by the median hits in 40 %.",
        _LOOP,
    ),
    "hits, worst scenario": Explanation(
        "For each positive scenario the upper end of its rate over its own limit; the worst row counts.",
        "8 % of 180 runs within training, which three true hits in a hundred keep; 25 % on ice that no sensor tells.",
        _LOOP,
    ),
    "late warnings, worst scenario": Explanation(
        "Of the runs that braked for a standing or steadily moving target, those warned less than 0.8 s before; the "
        "upper end of the rate over the row's limit of 10 %.",
        "0.8 s are UN R152's; honest models stay below 5 %.",
        "A bound too near to the median leaves no time between warning and braking: look at the bound's width.",
    ),
    "energy left beyond training": Explanation(
        "The share of the closing energy that is left at contact, 0 without one, as a mean over the runs whose vehicle "
        "or road no training row has.",
        "Honest models leave a tenth; who never brakes leaves all of it.",
        _LOOP,
    ),
    "needless braking": Explanation(
        "Runs of all negative scenarios in which the brakes were demanded: the upper end of the rate's interval.",
        "Honest models brake in 0.2 %; a time to collision of 2.6 s in 10 %.",
        "A median that is too long brakes early: look at `median leans` and at the scenario's row in the dossier.",
    ),
    "needless braking, worst scenario": Explanation(
        "For each negative scenario the upper end of its rate over its own limit; the worst row counts.",
        "5 % of 240 runs, 10 % where any system finds it hard.",
        "As above.",
    ),
    "hits more than champion": Explanation(
        "How much more often than the live model's runs, on the same seeds, hit: the upper end of the difference's "
        "interval.",
        "Honest models differ by some 0.1 % of 10,000 runs.",
        "Keep the live model, or find what it has that this one lacks.",
    ),
    "brakes for nothing more than champion": Explanation(
        "How much more often than the live model's runs, on the same seeds, brake for nothing.",
        "Honest models differ by some 0.2 % of 3,600 runs.",
        "As above.",
    ),
    "nodes": Explanation("Nodes of the graph.", "An honest graph has 23.", "Fold what is computed more than once."),
    "comparisons": Explanation(
        "The depths of all trees, summed: the most comparisons that one row can need.",
        "Three times those of an honest model; a row stays below a millisecond.",
        "Fewer or shallower trees: more do not come nearer to the noise floor.",
    ),
    "size": Explanation("Bytes of the graph.", "Five times an honest model.", "What is in it beside trees and names?"),
    "artifact size": Explanation(
        "Bytes of all files of the artifact.",
        "Seven times an honest one: graph, probes, golden request, trials.",
        "Remove what no step reads.",
    ),
    "worse than champion": Explanation(
        "How much larger the relative error of the median is than the live model's, on the same rows.",
        "Five fits to other drives differ by 1 %.",
        "Keep the live model, or find what it has that this one lacks.",
    ),
    "wider than champion": Explanation(
        "How much larger bound over median is than the live model's, on the same rows.",
        "Five fits to other drives differ by 2 %.",
        "As above.",
    ),
}
