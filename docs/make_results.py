"""Write docs/results.md from the tables that `tpl bench` has left.

Usage: python docs/make_results.py [FOLDER ...]   (default: every folder below runs/ with a bench.json)

Every table stands below the command that makes it again; a table on the page whose folder is not given stays as it is.
What was printed elsewhere is kept apart and cited.
"""

import json
import sys
from pathlib import Path

from tpl_lightning.commands.bench_table import markdown_table

HERE = Path(__file__).parent

HEAD = """# Results

CBC and PLP: higher is better. Key-event spread (standard deviation of the prototype time at which a phase begins) and
warp error (mean absolute error of progress): lower is better. Phase accuracy and Kendall's τ are those of the test
videos' embeddings on the prototype timeline, and before alignment. Definitions: README. Every table is made again by
the command above it, and this page by `make results`.

The tables of all methods on the stored splits are from before the direct fit was made smaller (its figures moved by
.002 at most); TPL+ of today is in the main table alone.

What is measured here are sets of tens of videos: with six test videos a difference of .02 in PLP is noise. Networks
trained for long (TPL, DTAN) differ between kinds of processors, whose last bits differ: PLP of TPL on mobilenet_v2 was
.802 ± .019 on another one, .773 ± .019 here. Seconds are of one thread each, two tables at a time on two cores.
"""

PAPER = """
## The paper's printed figures (cited, not measured here)

Naaman, Shapira Weber, Freifeld, "Synchronization of Multiple Videos", ICCV 2025; CBC / PLP with DINOv2 and with
OpenCLIP embeddings. **Not comparable with the tables above**: the data are others (GenAI-MVS has 82 clips there, 23
above), and so are the embeddings and the phase labels.

| data set | method | DINOv2 | OpenCLIP |
|---|---|---|---|
| Penn Action | DTAN-ICAE | .572 / .578 | .704 / .688 |
| | DBA | .756 / .773 | .807 / .808 |
| | SoftDBA | .750 / .777 | .859 / .831 |
| | TPL | .788 / .803 | .873 / .857 |
| Internet Videos | TPL | .912 / .907 | .916 / .902 |
| GenAI-MVS | DBA | .886 / .906 | .918 / .929 |
| | TPL | .953 / .933 | .942 / .946 |

With CARL embeddings on Penn Action the paper prints .621 / .607 for zero-padding ("Euclid") and .962 / .939 for TPL.
Linear rescaling is not among its rows; on our sets it is the row to beat.

Retrieval on Penn Action: 30.1 s by exhaustive search, .24 s by look-up (125 times as fast). Ours:
[benchmarks/retrieval.md](../benchmarks/retrieval.md). Run time: TPL 10 times as DBA, 4 to 5 times as SoftDBA.

### Learned frame embeddings on Penn Action (cited)

Phase classification accuracy with all labels, and Kendall's τ. TCC and the soft-DTW contrast that GTA and LAV share are
rows of our own above (trained on cached embeddings, so no rerun of the papers' networks); these are not implemented:

| method | accuracy | τ | source |
|---|---|---|---|
| VAVA | 84.48 | .805 | Liu et al., CVPR 2022 (cited) |
| CARL | 93.07 | .985 | Chen et al., CVPR 2022 (cited) |
| VSP | 93.12 | .986 | Zhang et al., CVPR 2023 (cited) |
| CARL, aligned by TPL | 93.31 | .990 | Naaman et al., ICCV 2025 (cited) |
"""

FOLDS = """## Four rotated folds: the main table

CBC / PLP / key-event spread (/ warp error) of 23 real clips under three extractors and of 82 rendered clips; each video
is tested once. Networks: mean and standard deviation over three seeds. No row but the last sees a label
(`select=none`). Made by `make folds ARGS="NAME=CACHE ..."`.

"""

ABLATIONS = "Ablations (the paper's table 5)"


def _title(folder: Path, source: str) -> str:
    return f"{ABLATIONS if folder.name.startswith('abl') else 'All methods'}: {source}"


def tables_of(page: str) -> dict[str, str]:
    """Return the tables of a page that was made earlier, by title."""
    sections = page.split("\n## ")[1:]
    tables = [section for section in sections if section.startswith((ABLATIONS, "All methods"))]
    return {table.partition("\n")[0]: table.partition("\n")[2].strip() for table in tables}


def main(arguments: list[str]) -> None:
    """Put the tables together."""
    folders = [Path(a) for a in arguments] or sorted(path.parent for path in Path("runs").glob("*/bench.json"))
    if not folders:
        sys.exit("No tables: run `make bench DATASET=genai` first.")
    page = HERE / "results.md"
    tables = tables_of(page.read_text(encoding="utf-8")) if page.is_file() else {}
    for folder in folders:
        found = json.loads((folder / "bench.json").read_text())
        tables[_title(folder, found["data_source"])] = (
            f"`{found['command']}`\n\n{markdown_table(found['rows']).strip()}"
        )
    ordered = sorted(tables.items(), key=lambda item: item[0].startswith(ABLATIONS))  # stable: else as they came
    folds = HERE / "folds.md"
    main_table = FOLDS + folds.read_text(encoding="utf-8") if folds.is_file() else ""
    parts = [HEAD, main_table, *(f"## {title}\n\n{text}\n" for title, text in ordered)]
    page.write_text("\n".join(parts) + PAPER, encoding="utf-8")
    print(f"{page}: {len(folders)} of {len(tables)} tables made anew")


if __name__ == "__main__":
    main(sys.argv[1:])
