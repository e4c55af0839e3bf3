"""Print the table of known mistakes and the points that each costs, for instructors."""

import runpy
from pathlib import Path

print("| lab | answer | mistake | points lost |\n| --- | --- | --- | --- |")
for path in [*sorted(Path(__file__).parent.glob("lab?.py")), Path(__file__).with_name("project.py")]:
    for title, (sources, points) in runpy.run_path(str(path)).get("MISCONCEPTIONS", {}).items():
        print(f"| {path.stem} | {', '.join(sources)} | {title} | {sum(points.values()):g} |")
