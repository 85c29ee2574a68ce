"""mkimg parse: where the recipe is read from, what is printed, and the exit status."""

import json
import os
import unittest

from support import TestCase

RECIPE = """# syntax=docker/dockerfile:1
ARG TAG=1
FROM alpine:$TAG AS Build
RUN --mount=type=cache,target=/c \\

    make
COPY <<EOF /x
$TAG
EOF
FROM scratch
COPY --from=build --link /x /
CMD ["/x"]
"""


class Parse(TestCase):
    def stages(self, *arguments, **keywords):
        return [stage["base"] for stage in self.mkimg.ok("parse", *arguments, **keywords).json()["stages"]]

    def test_prints_the_recipe(self):
        self.write("Dockerfile", RECIPE)
        result = self.mkimg.ok("parse", self.dir)
        recipe = result.json()
        self.assertEqual(recipe["directives"]["syntax"], "docker/dockerfile:1")
        self.assertEqual(recipe["global_args"][0]["pairs"], [{"name": "TAG", "value": "1"}])
        build, last = recipe["stages"]
        self.assertEqual((build["name"], build["base"], build["lines"]), ("build", "alpine:$TAG", [3, 9]))
        self.assertEqual((last["name"], last["platform"], last["lines"]), (None, None, [10, 12]))
        run, copy = build["instructions"]
        self.assertEqual(run["flags"], {"mount": ["type=cache,target=/c"]})
        self.assertEqual((run["form"], run["arguments"]), ("shell", ["make"]))
        self.assertEqual(copy["heredocs"], [{"name": "EOF", "content": "$TAG\n", "expand": True, "strip_tabs": False}])
        self.assertEqual(last["instructions"][1]["form"], "exec")
        self.assertRegex(result.stderr, r"Dockerfile:5: warning: .*\(NoEmptyContinuation\)")

    def test_finds_the_recipe(self):
        self.write("Containerfile", "FROM container")
        self.assertEqual(self.stages(cwd=self.dir), ["container"])
        self.write("Dockerfile", "FROM docker")
        self.assertEqual(self.stages(cwd=self.dir), ["docker"])
        self.assertEqual(self.stages(self.dir), ["docker"])
        other = self.write("sub/other", "FROM other")
        self.assertEqual(self.stages("-f", other), ["other"])
        self.assertEqual(self.stages("--file", "sub/other", cwd=self.dir), ["other"])
        self.assertEqual(self.stages("-f", "-", stdin="FROM stdin"), ["stdin"])

    def test_reports_all_faults_at_once(self):
        path = self.write("Dockerfile", "FROM a\nRUNN b\nCOPY --form=c d e\n")
        result = self.mkimg.fails(2, "parse", self.dir)
        self.assertEqual(result.stdout, "")
        self.assertEqual(result.stderr, f"""{path}:2:1: error: unknown instruction: RUNN
  2 | RUNN b
    | ^~~~
  hint: did you mean RUN?
{path}:3:6: error: unknown flag: --form
  3 | COPY --form=c d e
    |      ^~~~~~
  hint: did you mean --from?
""")

    def test_faults_as_json(self):
        result = self.mkimg.fails(2, "--log-format", "json", "parse", "-f", "-", stdin="RUN a\nFOO\n")
        faults = [json.loads(line) for line in result.stderr.splitlines()]
        self.assertEqual([(fault["file"], fault["line"], fault["message"]) for fault in faults],
                         [("<stdin>", 1, "the recipe has no FROM"), ("<stdin>", 2, "unknown instruction: FOO")])

    def test_refuses_what_is_no_recipe(self):
        self.assertIn("no Dockerfile or Containerfile", self.mkimg.fails(2, "parse", self.dir).stderr)
        self.mkimg.fails(1, "parse", "-f", self.path("missing"))
        os.mkdir(self.path("Dockerfile"))
        self.assertIn("not a regular file", self.mkimg.fails(2, "parse", self.dir).stderr)
        self.assertIn("NUL byte", self.mkimg.fails(2, "parse", "-f", "-", stdin=b"FROM a\0").stderr)
        self.assertIn("no instructions", self.mkimg.fails(2, "parse", "-f", "-", stdin="").stderr)

    def test_any_bytes_give_a_document(self):
        result = self.mkimg.ok("parse", "-f", "-", stdin=b"FROM a\nRUN \xff\xe9\n")
        self.assertEqual(json.loads(result.raw)["stages"][0]["instructions"][0]["arguments"], ["\ufffd\ufffd"])


if __name__ == "__main__":
    unittest.main()
