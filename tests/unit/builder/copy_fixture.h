// Real directories for the tests of COPY: a context, an image's tree, and a canary beside them.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/fd.h"
#include "builder/copy.h"
#include "builder/copy_plan.h"
#include "builder/tree_digest.h"

namespace mkimg::builder::testing {

inline constexpr std::int64_t old_time = 1'600'000'000;  // of every file that put() makes

class CopyFixture : public ::testing::Test {
  protected:
    CopyFixture() {
        char name[] = "/tmp/mkimg-copy-XXXXXX";
        base_ = ::mkdtemp(name);
        for (const char* directory : {"context", "image", "store", "canary"}) {
            EXPECT_EQ(::mkdir((base_ + "/" + directory).c_str(), 0755), 0);
        }
        put("canary/secret", "secret");
    }
    ~CopyFixture() override {
        const UniqueFd parent = open_path("/tmp", O_RDONLY | O_DIRECTORY);
        remove_tree(parent.get(), base_.substr(5));
    }

    std::string at(const std::string& path) const { return base_ + "/" + path; }

    // A file with its parents; the times of all are old enough to be trusted.
    void put(const std::string& path, const std::string& content, mode_t mode = 0644) {
        for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
            ::mkdir(at(path.substr(0, slash)).c_str(), 0755);
        }
        ::unlink(at(path).c_str());
        write_file_atomically(at(path), content);
        ASSERT_EQ(::chmod(at(path).c_str(), mode), 0);
        set_time(path, old_time);
    }
    void put_directory(const std::string& path, mode_t mode = 0755) {
        put(path + "/.made", "");
        ASSERT_EQ(::unlink(at(path + "/.made").c_str()), 0);
        ASSERT_EQ(::chmod(at(path).c_str(), mode), 0);
        set_time(path, old_time);
    }
    void put_link(const std::string& path, const std::string& target) {
        put(path, "");
        ASSERT_EQ(::unlink(at(path).c_str()), 0);
        ASSERT_EQ(::symlink(target.c_str(), at(path).c_str()), 0);
        set_time(path, old_time);
    }
    void set_time(const std::string& path, std::int64_t seconds) const {
        const timespec times[2] = {{seconds, 0}, {seconds, 0}};
        ASSERT_EQ(::utimensat(AT_FDCWD, at(path).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
    }

    std::string content(const std::string& path) const { return read_file(at(path), 1U << 30U); }
    bool exists(const std::string& path) const {
        struct stat stat {};
        return ::lstat(at(path).c_str(), &stat) == 0;
    }
    struct stat stat_of(const std::string& path) const {
        struct stat stat {};
        EXPECT_EQ(::lstat(at(path).c_str(), &stat), 0) << path;
        return stat;
    }
    std::string link_of(const std::string& path) const {
        char buffer[4096];
        const ssize_t size = ::readlink(at(path).c_str(), buffer, sizeof buffer);
        return size < 0 ? "(no link)" : std::string(buffer, static_cast<std::size_t>(size));
    }
    std::vector<std::string> names(const std::string& path) const {
        const UniqueFd fd = open_path(at(path), O_RDONLY | O_DIRECTORY);
        std::vector<std::string> all;
        for (const DirEntry& entry : list_directory(fd.get())) all.push_back(entry.name);
        return all;
    }

    // The context with these ignore rules; made anew each time, as each build does.
    BuildContext& context(const std::string& ignore = "") {
        context_.emplace(open_path(at("context"), O_RDONLY | O_DIRECTORY),
                         parser::IgnoreRules::parse(ignore, ".dockerignore"), ".dockerignore", store_fd());
        return *context_;
    }
    SourceTree image(const std::string& path) {
        image_ = open_path(at(path), O_RDONLY | O_DIRECTORY);
        return {image_.get(), nullptr};
    }

    static CopyRequest request(std::vector<std::string> sources, std::string target) {
        CopyRequest request;
        request.sources = std::move(sources);
        request.target = std::move(target);
        return request;
    }
    Sha256Bytes digest(const SourceTree& tree, CopyRequest request) {
        CopyPlan plan = plan_copy(tree, std::move(request));
        return content_digest(plan, pool_);
    }
    Sha256Bytes digest(std::vector<std::string> sources, const std::string& target = "/x/") {
        return digest(source_tree(context()), request(std::move(sources), target));
    }
    void run(const SourceTree& tree, CopyRequest request) {
        CopyPlan plan = plan_copy(tree, std::move(request));
        content_digest(plan, pool_);
        execute(plan);
    }
    void execute(const CopyPlan& plan) {
        const UniqueFd root = open_path(at("image"), O_RDONLY | O_DIRECTORY);
        execute_copy(plan, root.get(), pool_);
    }
    void copy(std::vector<std::string> sources, const std::string& target) {
        run(source_tree(context()), request(std::move(sources), target));
    }

    // The error that `action` throws, rendered; "" where it throws none.
    template <typename Action>
    static std::string error_of(Action action, std::optional<ErrorCode> code = std::nullopt) {
        try {
            action();
        } catch (const Error& error) {
            if (code) {
                EXPECT_EQ(name_of(error.code()), name_of(*code)) << error.message();
            }
            return error.message();
        }
        return "";
    }

    int store_fd() {
        if (!store_) store_ = open_path(at("store"), O_RDONLY | O_DIRECTORY);
        return store_.get();
    }

    std::string base_;
    UniqueFd store_;
    UniqueFd image_;
    std::optional<BuildContext> context_;
    ThreadPool pool_{2};
};

}  // namespace mkimg::builder::testing
