"""What ``tpl cache info`` prints, read again."""

from tpl_lightning.__main__ import main


def info_rows(path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["cache", "info", str(path)]) == 0
    # Cells of each row of the tables, without borders.
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    return {row[0]: row[1:] for row in rows if row}
