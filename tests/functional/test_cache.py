"""What hits the cache and what doesn't."""

import os
import time
import unittest

from support.builds import BuildTestCase

RECIPE = """\
FROM base
ENV MODE=fast
RUN echo one > /one
COPY app.txt /app.txt
RUN echo two > /two
CMD ["cat", "/app.txt"]
"""


class Cache(BuildTestCase):
    def test_a_second_build_runs_nothing_and_says_so(self):
        files = {"app.txt": "hello\n"}
        first = self.build(RECIPE, "-t", "app", files=files)
        self.assertEqual(self.cached(first), ([], [2, 3, 4]))
        second = self.build(RECIPE, "-t", "app", files=files)
        self.assertEqual(self.cached(second), ([2, 3, 4], []))
        self.assertIn("nothing to run", second.stderr)

    def test_cold_and_warm_builds_give_the_same_image(self):
        files = {"app.txt": "hello\n"}
        first = self.image_id(RECIPE, files=files)
        self.assertEqual(self.image_id(RECIPE, files=files), first)
        # Also when the steps run again and make the same.
        again = self.image_id(RECIPE, "--no-cache", files=files)
        self.assertEqual(self.config(again)["rootfs"], self.config(first)["rootfs"])

    def test_label_cmd_and_comment_rerun_no_run(self):
        files = {"app.txt": "hello\n"}
        self.build(RECIPE, files=files)
        changed = RECIPE.replace("ENV MODE=fast\n", "# a comment\nENV MODE=fast\nLABEL a=b\n").replace("cat", "tac")
        hit, ran = self.cached(self.build(changed, files=files))
        self.assertEqual((len(hit), ran), (3, []))

    def test_an_env_that_run_can_see_reruns_it(self):
        files = {"app.txt": "hello\n"}
        self.build(RECIPE, files=files)
        _, ran = self.cached(self.build(RECIPE.replace("fast", "slow"), files=files))
        self.assertIn(2, ran)

    def test_an_env_behind_the_last_run_reruns_nothing(self):
        files = {"app.txt": "hello\n"}
        self.build(RECIPE, files=files)
        _, ran = self.cached(self.build(RECIPE + "ENV LATE=1\n", files=files))
        self.assertEqual(ran, [])

    def test_early_cut_off(self):
        """A RUN that ran again and made the same lets what follows hit."""
        recipe = "FROM base\nARG V\nRUN echo same > /x\nRUN echo later > /y\n"
        without = recipe.replace("ARG V\n", "")
        self.build(without)
        hit, ran = self.cached(self.build(without.replace("echo same", "echo  same")))
        self.assertEqual((hit, ran), ([2], [1]))

    def test_a_touched_but_unchanged_file_is_a_hit(self):
        files = {"app.txt": "hello\n"}
        self.build(RECIPE, files=files)
        os.utime(self.path("context/app.txt"), (time.time() + 60, time.time() + 60))
        self.assertEqual(self.cached(self.build(RECIPE, files=files))[1], [])

    def test_changed_content_is_a_miss(self):
        self.build(RECIPE, files={"app.txt": "hello\n"})
        result = self.build(RECIPE, "-t", "app", files={"app.txt": "HELLO\n"})
        self.assertEqual(self.cached(result), ([2], [3, 4]))
        self.assertEqual(self.in_image("app", "cat", "/app.txt"), "HELLO\n")

    def test_content_changed_with_size_and_mtime_kept_is_a_miss(self):
        files = {"app.txt": "hello\n"}
        self.build(RECIPE, files=files)
        before = os.stat(self.path("context/app.txt"))
        self.write("context/app.txt", "jello\n")
        os.utime(self.path("context/app.txt"), ns=(before.st_atime_ns, before.st_mtime_ns))
        result = self.mkimg.ok("build", "-t", "app", self.path("context"))
        self.assertEqual(self.in_image("app", "cat", "/app.txt"), "jello\n")
        self.assertIn(3, self.cached(result)[1])

    def test_a_change_of_mode_is_a_miss(self):
        files = {"app.txt": "hello\n"}
        self.build(RECIPE, files=files)
        os.chmod(self.path("context/app.txt"), 0o755)
        result = self.mkimg.ok("build", "-t", "app", self.path("context"))
        self.assertIn(3, self.cached(result)[1])
        self.assertEqual(self.in_image("app", "stat", "-c", "%a", "/app.txt"), "755\n")

    def test_a_change_of_owner_in_a_stage_is_a_miss(self):
        recipe = "FROM base AS a\nRUN echo x > /f && chown {} /f\nFROM base\nCOPY --from=a /f /f\n"
        self.build(recipe.format(1))
        result = self.build(recipe.format(2), "-t", "app")
        self.assertEqual(len(self.cached(result)[1]), 2)
        self.assertEqual(self.in_image("app", "stat", "-c", "%u", "/f"), "2\n")

    def test_a_file_that_copy_does_not_take_changes_nothing(self):
        self.build(RECIPE, files={"app.txt": "hello\n", "other": "1"})
        self.assertEqual(self.cached(self.build(RECIPE, files={"app.txt": "hello\n", "other": "2"}))[1], [])

    def test_no_cache(self):
        files = {"app.txt": "hello\n"}
        self.build(RECIPE, files=files)
        self.assertEqual(self.cached(self.build(RECIPE, "--no-cache", files=files)), ([], [2, 3, 4]))

    def test_a_build_arg_that_is_declared_reruns_run_and_another_does_not(self):
        recipe = "FROM base\nRUN echo before > /b\nARG V=1\nRUN echo $V > /v\n"
        self.build(recipe)
        result = self.build(recipe, "--build-arg", "V=2", "-t", "app")
        self.assertEqual(self.cached(result), ([1], [3]))
        self.assertEqual(self.in_image("app", "cat", "/v"), "2\n")

    def test_proxy_args_are_no_part_of_the_key(self):
        recipe = "FROM base\nRUN echo x > /x\n"
        self.build(recipe)
        result = self.build(recipe, "--build-arg", "HTTP_PROXY=http://127.0.0.1:1")
        self.assertEqual(self.cached(result), ([1], []))

    def test_an_imported_image_is_never_the_result_of_a_step(self):
        """An image whose layers and history look like a step's is no cache candidate."""
        recipe = "FROM base\nRUN echo x > /x\n"
        self.build(recipe, "-o", f"type=oci,dest={self.path('a.tar')}")
        other = type(self.mkimg)(self.path("other"))
        other.ok("load", "-i", self.path("a.tar"))
        from support.builds import base_tar
        other.ok("import", base_tar(), "base", env={"SOURCE_DATE_EPOCH": "1000000000"})
        result = other.ok("build", self.path("context"))
        self.assertEqual(self.cached(result), ([], [1]))

    def test_every_part_of_a_copy_changes_its_key(self):
        variants = ["COPY a /x", "COPY a /y", "COPY --chown=1 a /x", "COPY --chmod=600 a /x", "ADD a /x",
                    "WORKDIR /w\nCOPY a x", "COPY b /x"]
        for variant in variants:
            result = self.build(f"FROM base\n{variant}\n", files={"a": "1", "b": "2"})
            self.assertTrue(self.cached(result)[1], variant)

    def test_every_part_of_a_run_changes_its_key(self):
        variants = ["RUN id > /x", "USER app\nRUN id > /tmp/x", "WORKDIR /tmp\nRUN id > /x", 'RUN ["id"]',
                    'SHELL ["/bin/sh", "-ec"]\nRUN id > /x', "RUN --network=none id > /x", "ENV A=1\nRUN id > /x",
                    "ARG B=1\nRUN id > /x"]
        for variant in variants:
            result = self.build(f"FROM base\n{variant}\n")
            self.assertTrue(self.cached(result)[1], variant)


if __name__ == "__main__":
    unittest.main()
