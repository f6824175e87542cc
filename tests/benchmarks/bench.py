"""What beluga-llm costs, as ratios to a hand-written client in the same run.

    python tests/benchmarks/bench.py [--rounds N] [--only NAME ...] [--json FILE] [--peers]

The server runs in another process and the clients take turns in interleaved rounds; the first round
warms up. Medians are shown with minimum and maximum.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import clients
from clients import Client
from processes import footprint, imports, left_behind
from scenarios import SCENARIOS, Scenario

HERE = Path(__file__).parent
Table = dict[str, dict[str, list[float]]]
"""Values by figure and client, one for each round."""


def candidates(base_url: str, peers: bool) -> dict[str, Callable[[], Client]]:
    """Who is measured, the floor of its wire first."""
    found: dict[str, Callable[[], Client]] = {
        "floor": lambda: clients.Floor(base_url),
        "beluga-llm": lambda: clients.chat(base_url),
        "beluga-llm, 4 layers": lambda: clients.chat(base_url, *[clients.passing] * 4),
        "beluga-llm, recommended stack": lambda: clients.chat(base_url, *clients.recommended()),
    }
    if peers:
        import peers as others

        found |= others.chat_clients(base_url)
    return found


async def measure(
    scenario: Scenario, makers: dict[str, Callable[[], Client]], rounds: int
) -> Table:
    """The figures of one scenario."""
    made = {name: make() for name, make in makers.items()}
    table: Table = {}
    for turn in range(rounds + 1):
        for name, client in made.items():
            for figure, value in (await scenario.run(client)).items():
                if turn:
                    table.setdefault(figure, {}).setdefault(name, []).append(value)
    for client in made.values():
        await client.aclose()
    return table


def rows(table: Table, scenario: Scenario) -> list[str]:
    """The figures as lines of a Markdown table.

    What is measured first is the floor; what another costs more is the median of the differences
    in each round.
    """
    lines = []
    for figure, found in table.items():
        floors = next(iter(found.values()))
        floor = statistics.median(floors)
        unit = scenario.units[figure]
        for name, values in found.items():
            median = statistics.median(values)
            spread = f"{min(values):.2f} to {max(values):.2f}"
            goal = scenario.goals.get(figure if name == "beluga-llm" else f"{figure}, {name}", "")
            more = statistics.median(
                value - base for value, base in zip(values, floors, strict=True)
            )
            ratio = f"{median / floor:.2f} ({more:+.2f})" if values is not floors else ""
            lines.append(
                f"| {figure} | {name} | {median:.2f} {unit} | {spread} | {ratio} | {goal} |"
            )
    return lines


async def whole(base_url: str, chosen: argparse.Namespace) -> dict[str, Table]:
    """All scenarios, printed as they are done."""
    everything = {}
    print("| what | who | median | min to max | ratio (more) | goal |\n|---|---|---|---|---|---|")
    for name, scenario in SCENARIOS.items():
        if chosen.only and name not in chosen.only:
            continue
        table = await measure(scenario, candidates(base_url, chosen.peers), chosen.rounds)
        everything[name] = table
        print("\n".join(rows(table, scenario)), flush=True)
    if not chosen.only or "messages" in chosen.only:
        makers: dict[str, Callable[[], Client]] = {
            "floor": lambda: clients.MessagesFloor(base_url),
            "beluga-llm": lambda: clients.messages(base_url),
        }
        if chosen.peers:
            import peers as others

            makers |= others.messages_clients(base_url)
        for name in ("calls", "bursts"):
            table = await measure(SCENARIOS[name], makers, chosen.rounds)
            everything[f"messages: {name}"] = table
            print("\n".join(f"| messages: {row[2:]}" for row in rows(table, SCENARIOS[name])))
    if not chosen.only or "telemetry" in chosen.only:
        import telemetry

        rounds = chosen.rounds * telemetry.TURNS
        table = await measure(telemetry.SCENARIO, telemetry.telemetry_clients(base_url), rounds)
        everything["telemetry"] = table
        print("\n".join(f"| telemetry: {row[2:]}" for row in rows(table, telemetry.SCENARIO)))
    return everything


def main() -> None:
    """Runs the server, the rounds, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peers", action="store_true")
    chosen = parser.parse_args()
    with subprocess.Popen([sys.executable, HERE / "server.py"], stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            base_url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
            everything = asyncio.run(whole(base_url, chosen))
            for name, run in (("imports", imports), ("left", left_behind), ("size", footprint)):
                if not chosen.only or name in chosen.only:
                    lines = run(base_url, chosen.rounds)
                    print(*lines, sep="\n", flush=True)
        finally:
            server.kill()
    if chosen.json:
        chosen.json.write_text(json.dumps(everything, indent=1), "utf-8")


if __name__ == "__main__":
    main()
