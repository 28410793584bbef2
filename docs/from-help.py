#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keep man pages and shell completions in step with what the programs take.

    docs/from-help.py BIN_DIR          rewrite the generated parts
    docs/from-help.py BIN_DIR --check  say PASS or FAIL for each file and change nothing

`PROGRAM --help` and `PROGRAM VERB --help` are read. In docs/man/PROGRAM.N the part between the two marker comments is
written from them; the rest of a page is prose. docs/completions/PROGRAM.bash and _PROGRAM (zsh) are generated whole.
They are kept in the tree, so installing needs no running of programs and a reviewer sees a change of the interface.
"""
import os
import re
import subprocess
import sys

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGES = {"rpk": 1, "ota": 1, "otad": 8, "otaforge": 1, "riverboot-sim": 1}
BEGIN = '.\\" From --help; docs/from-help.py rewrites it.'
END = '.\\" End of the part from --help.'
FILE_LIKE = re.compile(r"FILE|DIR|PATH|IMG|PATCH|OLD|NEW|KEY|CERT|REPO|REFERENCE|\.rpk|F\b")


class Option:
    def __init__(self, name, value, text):
        self.name, self.value, self.text = name, value, text


class Verb:
    def __init__(self, name, arguments, text, options):
        self.name, self.arguments, self.text, self.options = name, arguments, text, options


def parse_options(lines):
    """Options under one title: until the next empty line."""
    found = []
    for line in lines:
        if not line.startswith("  -"):
            break
        padded = re.match(r"  (--?[\w-]+)(?: (\S.*?))?\s{2,}(.*)$", line)
        tight = re.match(r"  (--?[\w-]+)(?: ([^a-z\s]\S*))? (.*)$", line)
        match = padded or tight
        if not match:
            sys.exit(f"from-help: not understood: {line}")
        found.append(Option(match[1], match[2] or "", match[3]))
    return found


def sections(text):
    """{title: lines below it}"""
    lines, found = text.splitlines(), {}
    for number, line in enumerate(lines):
        if line.endswith(":") and not line.startswith(" "):
            found[line[:-1]] = lines[number + 1:]
    return found


def ask(program, *words):
    run = subprocess.run([program, *words, "--help"], stdout=subprocess.PIPE, text=True, check=True)
    return run.stdout


class Program:
    def __init__(self, directory, name):
        path = os.path.join(directory, name)
        text = ask(path)
        parts = sections(text)
        self.name = name
        self.common = parse_options(parts.get("Options of every verb", [])) + parse_options(parts["Common options"])
        self.verbs, self.options = [], []
        if "Verbs" not in parts:
            self.options = parse_options(parts.get("Options", []))
            return
        for line in parts["Verbs"]:
            if not line.startswith("  "):
                break
            words = []
            for word in line[2:].split("  ")[0].split():
                if not re.fullmatch(r"[a-z][a-z0-9-]*", word):
                    break
                words.append(word)
            own = ask(path, *words)
            usage = own.splitlines()[0].split(" [options]", 1)
            self.verbs.append(Verb(" ".join(words), usage[1].strip() if len(usage) > 1 else "",
                                   own.splitlines()[2], parse_options(sections(own).get("Options", []))))


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in ".'" else text


def sentence(clause):
    return roff(clause[:1].upper() + clause[1:]) + "."


def man_options(options):
    out = []
    for option in options:
        value = f" \\fI{roff(option.value)}\\fR" if option.value else ""
        out += [".TP", f"\\fB{roff(option.name)}\\fR{value}", sentence(option.text)]
    return out


def man_part(program):
    out = [BEGIN]
    if program.verbs:
        out.append(".SH VERBS")
        for verb in program.verbs:
            arguments = f" \\fI{roff(verb.arguments)}\\fR" if verb.arguments else ""
            out += [f".SS {roff(program.name)} {roff(verb.name)}{arguments}", sentence(verb.text)]
            out += man_options(verb.options)
    else:
        out.append(".SH OPTIONS")
        out += man_options(program.options)
    out.append(".SH COMMON OPTIONS")
    out += man_options(program.common)
    return "\n".join(out + [END]) + "\n"


def bash_options(options):
    return " ".join(option.name for option in options)


def bash(program):
    """Words by position; after an option that takes a value, or where no option begins, files."""
    name = program.name.replace("-", "_")
    valued = sorted({o.name for v in program.verbs for o in v.options if o.value}
                    | {o.name for o in program.options + program.common if o.value})
    firsts = list(dict.fromkeys(verb.name.split()[0] for verb in program.verbs))
    out = ["# shellcheck shell=bash", "# SPDX-License-Identifier: Apache-2.0",
           f"# bash completion for {program.name}; docs/from-help.py writes it.", f"_riverbank_{name}()", "{",
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=", "    COMPREPLY=()"]
    if valued:
        out += ["    case $prev in", f"    {' | '.join(valued)})", "        compopt -o default", "        return",
                "        ;;", "    esac"]
    if program.verbs:
        out += ["    if [ \"$COMP_CWORD\" = 1 ]; then",
                f"        mapfile -t COMPREPLY < <(compgen -W '{' '.join(firsts)} --help --version' -- \"$cur\")",
                "        return", "    fi", '    case "${COMP_WORDS[1]} ${COMP_WORDS[2]}" in']
        groups = {}
        for verb in program.verbs:
            words = verb.name.split()
            if len(words) == 2:
                groups.setdefault(words[0], []).append(words[1])
        for verb in program.verbs:
            pattern = f'"{verb.name}"' if " " in verb.name else f'"{verb.name} "*'
            out.append(f"    {pattern}) words='{bash_options(verb.options)}' ;;")
        out.append("    esac")
        for first, seconds in groups.items():
            out += [f"    if [ \"$COMP_CWORD\" = 2 ] && [ \"${{COMP_WORDS[1]}}\" = {first} ]; then",
                    f"        mapfile -t COMPREPLY < <(compgen -W '{' '.join(seconds)}' -- \"$cur\")",
                    "        return", "    fi"]
    else:
        out.append(f"    words='{bash_options(program.options)}'")
    out += ["    case $cur in", "    -*)",
            f"        mapfile -t COMPREPLY < <(compgen -W \"$words {bash_options(program.common)}\" -- \"$cur\")",
            "        ;;",
            "    *) compopt -o default ;;", "    esac", "}", f"complete -F _riverbank_{name} {program.name}"]
    return "\n".join(out) + "\n"


def zsh_text(text):
    return text.replace("\\", "").replace("'", "'\\''").replace("[", "(").replace("]", ")").replace(":", "\\:")


def zsh_options(options):
    out = []
    for option in options:
        repeat = "*" if "(may be repeated)" in option.text else ""
        value = ""
        if option.value:
            value = f":{zsh_text(option.value)}:{'_files' if FILE_LIKE.search(option.value) else ' '}"
        out.append(f"'{repeat}{option.name}[{zsh_text(option.text)}]{value}'")
    return out


def zsh(program):
    name = "_" + program.name
    out = [f"#compdef {program.name}", "# SPDX-License-Identifier: Apache-2.0",
           f"# zsh completion for {program.name}; docs/from-help.py writes it.", f"{name}()", "{",
           "    local -a verbs common", "    common=("]
    out += [f"        {line}" for line in zsh_options(program.common)] + ["    )"]
    if not program.verbs:
        out += ["    _arguments \\"] + [f"        {line} \\" for line in zsh_options(program.options)]
        out += ["        $common", "}", f'{name} "$@"']
        return "\n".join(out) + "\n"

    firsts = {}
    for verb in program.verbs:
        words = verb.name.split()
        firsts.setdefault(words[0], []).append(verb)
    out.append("    if (( CURRENT == 2 )); then")
    out.append("        verbs=(")
    for first, verbs in firsts.items():
        text = verbs[0].text if len(verbs) == 1 else ", ".join(v.name.split()[-1] for v in verbs)
        out.append(f"            '{first}:{zsh_text(text)}'")
    out += ["        )", "        _describe -t verbs verb verbs", "        return", "    fi"]
    groups = {first: verbs for first, verbs in firsts.items() if any(" " in v.name for v in verbs)}
    for first, verbs in groups.items():
        out += [f"    if (( CURRENT == 3 )) && [[ $words[2] == {first} ]]; then", "        verbs=("]
        out += [f"            '{v.name.split()[1]}:{zsh_text(v.text)}'" for v in verbs if " " in v.name]
        out += ["        )", "        _describe -t verbs verb verbs", "        return", "    fi"]
    out.append('    case "$words[2] $words[3]" in')
    for verb in program.verbs:
        pattern = f'"{verb.name}"' if " " in verb.name else f'"{verb.name} "*'
        out += [f"    {pattern})", "        _arguments \\"]
        out += [f"            {line} \\" for line in zsh_options(verb.options)]
        out += ["            $common '*:file:_files'", "        ;;"]
    out += ["    esac", "}", f'{name} "$@"']
    return "\n".join(out) + "\n"


def files_of(program):
    """{path: text it shall have}"""
    page = os.path.join(TREE, "docs", "man", f"{program.name}.{PAGES[program.name]}")
    text = open(page, encoding="utf-8").read() if os.path.exists(page) else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END + "\n")
    if not begin or not end:
        sys.exit(f"from-help: {page} wants the two marker lines")
    completions = os.path.join(TREE, "docs", "completions")
    return {page: before + man_part(program) + after,
            os.path.join(completions, program.name + ".bash"): bash(program),
            os.path.join(completions, "_" + program.name): zsh(program)}


def main():
    directory, check = sys.argv[1], "--check" in sys.argv[2:]
    failed = False
    for name in PAGES:
        if not os.path.exists(os.path.join(directory, name)):
            continue
        for path, text in files_of(Program(directory, name)).items():
            now = open(path, encoding="utf-8").read() if os.path.exists(path) else None
            short = os.path.relpath(path, TREE)
            if check:
                failed = failed or now != text
                print(f"{'PASS' if now == text else 'FAIL'} {short} says what --help says")
            elif now != text:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                print(f"wrote {short}")
    if failed:
        print("    (`make docs` rewrites them)")
    return 1 if failed else 0


sys.exit(main())
