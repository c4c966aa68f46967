"""Draws what was measured as an SVG: the CPU time of an answer, by server and by what is asked, and
by the number of domains."""

# Told apart in either brightness of the page and by colour-blind readers (Okabe and Ito).
COLOURS = {"echo": "#999999", "rhumb": "#d55e00", "gdnsd": "#0072b2", "knot": "#009e73", "pdns": "#cc79a7"}
WIDTH, LEFT, RIGHT = 760, 190, 110
BAR, GAP, TITLE = 16, 14, 34
# Microseconds at the right end; longer bars are cut and say so.
SCALE = 8.0


def draw(results, file):
    parts, y = [], 10
    if "peers" in results:
        y = heading(parts, y, "CPU time of an answer, by server (µs)")
        for case, rows in results["peers"]["cases"].items():
            label(parts, y + BAR * len(rows) / 2, case)
            for name, row in rows.items():
                bar(parts, y, row["cpu_ns"] / 1e3, COLOURS[name], name)
                y += BAR
            y += GAP
    if "growth" in results:
        y = heading(parts, y, "CPU time of an answer, by domains, with client subnet (µs)")
        for row in results["growth"]["rows"]:
            label(parts, y + BAR / 2, f"{row['domains']:,}, {row['database']}")
            bar(parts, y, row["cpu_ns"]["hit, client subnet"] / 1e3, COLOURS["rhumb"], "")
            y += BAR
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 10}" '
            'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n')
    with open(file, "w", encoding="utf-8") as out:
        out.write(head + "\n".join(parts) + "\n</svg>\n")


def heading(parts, y, text):
    parts.append(f'<text x="10" y="{y + 18}" font-size="14" font-weight="bold">{text}</text>')
    return y + TITLE


def label(parts, y, text):
    parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{text}</text>')


def bar(parts, y, value, colour, name):
    length = min(value, SCALE) / SCALE * (WIDTH - LEFT - RIGHT)
    cut = " →" if value > SCALE else ""
    parts.append(f'<rect x="{LEFT}" y="{y + 1}" width="{length:.1f}" height="{BAR - 2}" fill="{colour}"/>')
    parts.append(f'<text x="{LEFT + length + 5:.1f}" y="{y + 12}">{value:.2f}{cut} {name}</text>')
