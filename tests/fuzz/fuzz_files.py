"""Coverage-guided fuzzing of the readers of files with atheris.

    python tests/fuzz/fuzz_files.py -max_total_time=60            all readers, in turn
    python tests/fuzz/fuzz_files.py network -max_total_time=600   one of them

Further arguments go to libFuzzer.  An input that fails is written to the current folder as
crash-...; with `readers.as_file(reader, input)` it belongs into tests/fuzz/past/READER-NAME, which
tests/test_hostile_files.py reads for ever.
"""

import random
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = ("network", "checkpoint", "state", "table", "idx", "csv")


def fuzz(name, arguments):
    import atheris

    sys.path[:0] = [str(HERE), str(HERE.parents[1])]
    with atheris.instrument_imports(include=["fastbp"]):
        import readers

    reader = readers.READERS[name]
    with_header = name in readers.IN_SAFETENSORS

    def mutate(data, most, seed):
        """libFuzzer's changes, or the arrays and the JSON of a sound file changed."""
        rng = random.Random(seed)
        if with_header and rng.random() < 0.7:
            changed = readers.mutated(data, rng)
            if changed != data and len(changed) <= most:
                return changed
        return atheris.Mutate(data, most)

    def one_input(data):
        reader(readers.as_file(name, data))

    with tempfile.TemporaryDirectory() as folder:
        corpus, dictionary = Path(folder, "corpus"), Path(folder, "words")
        corpus.mkdir()
        files = readers.seeds(name) + [p.read_bytes() for p in HERE.glob(f"past/{name}-*")]
        tokens = {",", ";", "\t", '"', "\r\n", "1e999", "nan", "\0", "\x1f\x8b"}
        for number, data in enumerate(files):
            (corpus / f"seed{number}").write_bytes(data)
            if with_header and number < 3:
                (corpus / f"header{number}").write_bytes(readers.without_length(data))
                tokens.update(readers.words(data))
            elif name == "idx":
                (corpus / f"packed{number}").write_bytes(b"z" + data)
        texts = ("".join(f"\\x{byte:02x}" for byte in token.encode()) for token in tokens)
        dictionary.write_text("".join(f'"{text}"\n' for text in sorted(texts)))
        options = [f"-dict={dictionary}", "-rss_limit_mb=2048", "-timeout=20", "-max_len=16384"]
        command = [sys.argv[0], *options, *arguments, str(corpus)]
        atheris.Setup(command, one_input, custom_mutator=mutate)
        try:
            atheris.Fuzz()
        finally:
            readers.clean()


def main(arguments):
    if arguments and arguments[0] in NAMES:
        fuzz(arguments[0], arguments[1:])
        return 0
    seconds = [a for a in arguments if a.startswith("-max_total_time=")] or ["-max_total_time=60"]
    share = max(1, int(seconds[-1].partition("=")[2]) // len(NAMES))
    failed = []
    for name in NAMES:
        print(f"=== {name}", flush=True)
        more = [*arguments, f"-max_total_time={share}"]
        if subprocess.run([sys.executable, __file__, name, *more]).returncode:
            failed.append(name)
    print(f"{len(NAMES)} readers fuzzed, failed: {', '.join(failed) or 'none'}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
