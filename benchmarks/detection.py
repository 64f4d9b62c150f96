"""How well instability is detected: Trimtab beside its peers, one JSON line a detector, a table for people.

    .venv/bin/python benchmarks/detection.py [--curves DIR] [--plot OUT.png] [--misses]
                                             [--plot-misses OUT.png]
    .venv/bin/python benchmarks/detection.py --cross-validate [--curves DIR]
    .venv/bin/python benchmarks/detection.py --cases [--seeds 20]
    .venv/bin/python benchmarks/detection.py --speed [--samples 1000000]

The curves are our own unless a folder is named (INDEX.csv, LABELS.csv and the CSV files that they name). The
matching rule stands in detection_bench/matching.py; cases are series of which the truth is known. JSON goes
to standard output, tables to standard error.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from detection_bench.cases.judging import judge_all
from detection_bench.cases.report import beside_peers, own_table
from detection_bench.closeups import draw_closeups
from detection_bench.curves import Curve, CurvesError, read_folder
from detection_bench.peers import PEERS
from detection_bench.picture import draw
from detection_bench.report import as_json, detector_table, misses, print_json, tables
from detection_bench.running import OURS, in_parallel, judge_named
from detection_bench.speed import measure
from detection_bench.validation.cross import cross_validate, outcomes_at
from detection_bench.validation.folds import by_group, by_source
from detection_bench.validation.grid import points
from detection_bench.validation.report import as_json as way_as_json
from detection_bench.validation.report import folds_table, points_table, ways_scored, ways_table

PICTURES = (".png", ".svg", ".pdf")
OWN_CURVES = Path(__file__).parent / "curves"


def main() -> None:
    """Do what was asked for."""
    asked = parse()
    if asked.cases:
        constructed(asked)
        return
    if asked.speed:
        print_json([measure(asked.samples)])
        return
    try:
        curves = read_folder(asked.curves)
    except CurvesError as error:
        print(f"detection.py: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    if asked.cross_validate:
        validate(curves)
    else:
        compare(curves, asked)


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def picture(text: str) -> Path:
    """A file that a picture can be written to: known before anything is measured."""
    path = Path(text)
    if path.suffix not in PICTURES:
        raise argparse.ArgumentTypeError(f"{text!r} ends in none of {', '.join(PICTURES)}")
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.absolute().parent)!r}; make it first")
    return path


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--curves", type=Path, default=OWN_CURVES, metavar="DIR", help="folder of labelled curves"
    )
    parser.add_argument(
        "--detectors",
        nargs="+",
        choices=(OURS, *PEERS),
        default=(OURS, *PEERS),
        metavar="NAME",
        help="only these",
    )
    parser.add_argument("--plot", type=picture, metavar="OUT.png", help="draw a picture of all detectors")
    parser.add_argument("--plot-misses", type=picture, metavar="OUT.png", help="draw each of them from near")
    parser.add_argument(
        "--misses", action="store_true", help="list what Trimtab missed and where it was wrong"
    )
    parser.add_argument("--cases", action="store_true", help="constructed cases instead of curves")
    parser.add_argument("--speed", action="store_true", help="what a sample costs, and what a run keeps")
    parser.add_argument("--samples", type=positive, default=1_000_000, help="how many, for --speed")
    parser.add_argument(
        "--cross-validate",
        action="store_true",
        help="choose Trimtab's settings on other curves than it is judged on",
    )
    parser.add_argument("--seeds", type=positive, default=20, help="how often each case is made")
    return parser.parse_args()


def constructed(asked: argparse.Namespace) -> None:
    """Run all detectors over the constructed cases."""
    results = judge_all(asked.detectors, asked.seeds)
    print_json([result.as_json() for of_detector in results for result in of_detector])
    tables(*(own_table(each) for each in results if each[0].detector == OURS), beside_peers(results))


def validate(curves: list[Curve]) -> None:
    """Cross-validate Trimtab's settings, by source and by group."""
    at = points()
    by_point = in_parallel(outcomes_at, at, curves)
    ways = {
        "chosen on other sources": cross_validate(curves, by_point, by_source),
        "chosen on other groups": cross_validate(curves, by_point, by_group),
    }
    scored = ways_scored(at, by_point, ways)
    print_json([way_as_json(name, figures) for name, (figures, _) in scored.items()])
    tables(*(folds_table(name, at, folds) for name, folds in ways.items()))
    tables(points_table(at, by_point), ways_table(scored))


def compare(curves: list[Curve], asked: argparse.Namespace) -> None:
    """Run all detectors over all curves."""
    judged = in_parallel(judge_named, asked.detectors, curves)
    print_json([as_json(each) for each in judged])
    tables(detector_table(judged))
    if asked.misses:
        tables(*(misses(each) for each in judged if each.name == OURS))
    for each in judged:
        if asked.plot_misses and each.name == OURS:
            draw_closeups(each, curves, asked.plot_misses)
    if asked.plot:
        draw(judged, asked.plot)


if __name__ == "__main__":
    main()
