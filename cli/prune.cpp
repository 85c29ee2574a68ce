// mkimg prune
#include <unistd.h>

#include <CLI/App.hpp>
#include <array>
#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "layers/prune.h"
#include "sandbox/user_namespace.h"

namespace mkimg::cli {
namespace {

struct PruneCommand {
    layers::PruneOptions options;
    std::string older_than;
    std::string max_size;
    bool force = false;
};

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

// "10GB", "1.5 GiB", "500": a decimal number and one of the units; nothing for anything else.
std::optional<std::uint64_t> parse_quantity(std::string_view text, std::span<const Unit> units) {
    const std::size_t digits = text.find_first_not_of("0123456789.");
    const std::string unit = to_lower(trim(text.substr(std::min(digits, text.size()))));
    const std::string_view number = text.substr(0, digits);
    const std::size_t point = number.find('.');
    const auto whole = parse_u64(number.substr(0, point));
    const std::string_view rest = point == std::string_view::npos ? "" : number.substr(point + 1);
    if (!whole || rest.size() > 6 || (point != std::string_view::npos && !parse_u64(rest))) return std::nullopt;
    for (const auto& known : units) {
        if (known.name != unit) continue;
        std::uint64_t value = 0;
        if (__builtin_mul_overflow(*whole, known.factor, &value)) return std::nullopt;
        std::uint64_t part = known.factor;
        for (const char digit : rest) {
            part /= 10;
            value += static_cast<std::uint64_t>(digit - '0') * part;
        }
        return value;
    }
    return std::nullopt;
}

std::uint64_t parse_size(const std::string& text) {
    constexpr std::array units{Unit{"", 1},
                               Unit{"b", 1},
                               Unit{"k", 1ULL << 10},
                               Unit{"kb", 1000},
                               Unit{"kib", 1ULL << 10},
                               Unit{"m", 1ULL << 20},
                               Unit{"mb", 1000'000},
                               Unit{"mib", 1ULL << 20},
                               Unit{"g", 1ULL << 30},
                               Unit{"gb", 1000'000'000},
                               Unit{"gib", 1ULL << 30},
                               Unit{"t", 1ULL << 40},
                               Unit{"tb", 1000'000'000'000},
                               Unit{"tib", 1ULL << 40}};
    if (const auto size = parse_quantity(text, units)) return *size;
    throw Error(ErrorCode::usage, "--max-size " + text + ": a size is needed", "for example 20GB or 512MiB");
}

std::int64_t parse_age(const std::string& text) {
    constexpr std::array units{Unit{"s", 1}, Unit{"m", 60}, Unit{"h", 3600}, Unit{"d", 86400}, Unit{"w", 604800}};
    const auto age = parse_quantity(text, units);
    if (age && *age <= 1ULL << 40) return static_cast<std::int64_t>(*age);
    throw Error(ErrorCode::usage, "--older-than " + text + ": an age is needed", "for example 12h, 7d or 4w");
}

// Nothing is removed without a yes, be it typed now or given as a flag.
bool confirmed(const PruneCommand& command) {
    if (command.force || command.options.dry_run) return true;
    if (::isatty(STDIN_FILENO) != 1) {
        throw Error(ErrorCode::usage, "nobody can be asked whether to remove",
                    "say --force, or --dry-run to see what would go");
    }
    const std::string what = command.options.all ? "everything that no named image needs, with the whole build cache"
                                                 : "what no image needs, and what the build cache has not used lately";
    write_full(STDERR_FILENO, "Remove " + what + "? [y/N] ");
    char answer = 'n';
    return ::read(STDIN_FILENO, &answer, 1) == 1 && (answer == 'y' || answer == 'Y');
}

void prune(const Globals& globals, PruneCommand command) {
    if (!command.older_than.empty()) command.options.older_than = parse_age(command.older_than);
    if (!command.max_size.empty()) command.options.max_size = parse_size(command.max_size);
    if (!confirmed(command)) return;
    sandbox::enter_user_namespace();
    oci::Store store(globals.root);
    const auto pruned = layers::prune(store, command.options);
    std::string text;
    for (const auto& image : pruned.images) text += "Deleted: " + image.str() + "\n";
    const auto count = [](std::uint64_t number, const char* what) {
        return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
    };
    text += (command.options.dry_run ? "Would free " : "Freed ") + human_size(pruned.bytes) + ": " +
            count(pruned.images.size(), "image") + ", " + count(pruned.layers, "layer") + ", " +
            count(pruned.blobs, "blob") + ", " + count(pruned.cache_records, "cache record") + ", " +
            count(pruned.logs, "log") + ", " + count(pruned.rubbish, "left-over file") + "\n";
    print(text);
}

}  // namespace

void add_prune(CLI::App& command, Globals& globals) {
    auto options = std::make_shared<PruneCommand>();
    command.add_flag("-a,--all", options->options.all, "Keep only images with a name: not the build cache");
    command.add_option("--older-than", options->older_than, "Only what was not used for so long: 12h, 7d")
        ->type_name("AGE");
    command
        .add_option("--max-size", options->max_size, "Go on, the longest unused first, until the store is no larger")
        ->type_name("SIZE");
    command.add_flag("--blobs", options->options.blobs, "Also compressed layers that can be made again");
    command.add_flag("--dry-run", options->options.dry_run, "Only say what would go");
    command.add_flag("-f,--force", options->force, "Don't ask");
    command.callback([options, &globals] { prune(globals, *options); });
}

}  // namespace mkimg::cli
