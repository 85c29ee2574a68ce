// mkimg history IMAGE
#include <CLI/App.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/session.h"
#include "cli/table.h"

namespace mkimg::cli {
namespace {

struct HistoryOptions {
    std::string image;
    std::string format = "table";
    bool no_trunc = false;
};

struct Step {
    oci::History history;
    std::optional<oci::DiffId> diff;
    std::uint64_t size = 0;
};

// History and layers side by side, newest first. An image may have more of either than the other
// accounts for: such steps show no layer, such layers no step.
std::vector<Step> steps_of(layers::LayerStore& layers, const oci::ImageConfig& config) {
    std::vector<Step> steps;
    std::optional<oci::ChainId> chain;
    std::size_t next = 0;
    const auto take_layer = [&](Step& step) {
        step.diff = config.diff_ids[next++];
        chain = oci::chain_id(chain, *step.diff);
        if (const auto layer = layers.find(*chain)) step.size = layer->tar_size;
    };
    for (const auto& history : config.history) {
        Step step{history, {}, 0};
        if (!history.empty_layer && next < config.diff_ids.size()) take_layer(step);
        steps.push_back(std::move(step));
    }
    while (next < config.diff_ids.size()) take_layer(steps.emplace_back());
    std::reverse(steps.begin(), steps.end());
    return steps;
}

std::string as_json(const std::vector<Step>& steps) {
    auto array = nlohmann::json::array();
    for (const auto& [history, diff, size] : steps) {
        nlohmann::json item{{"created_by", history.created_by}, {"size", size}, {"empty_layer", !diff}};
        if (history.created) item["created"] = rfc3339(*history.created);
        if (!history.comment.empty()) item["comment"] = history.comment;
        if (!history.author.empty()) item["author"] = history.author;
        if (diff) item["diff_id"] = diff->str();
        array.push_back(std::move(item));
    }
    return array.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// A step on one line of at most `width` columns, cut between characters.
std::string one_line(std::string text, std::size_t width) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
    text = printable(text);
    if (display_width(text) <= width) return text;
    const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; };
    while (display_width(text) >= width) {
        std::size_t last = text.size() - 1;
        while (last > 0 && continues(text[last])) --last;
        text.resize(last);
    }
    return text + "…";
}

void history(const Globals& globals, const HistoryOptions& options) {
    if (options.format != "table" && options.format != "json") {
        throw Error(ErrorCode::usage, "--format " + options.format + ": table or json is needed");
    }
    Session session(globals);
    oci::Store& store = session.store;
    layers::LayerStore& layers = session.layers;
    const auto image = require_image(store, options.image);
    const auto steps = steps_of(layers, oci::ImageConfig::parse(store.read_blob(image.id)));
    if (options.format == "json") return print(as_json(steps));
    Table table({"CREATED", "CREATED BY", "SIZE", "COMMENT"});
    const std::size_t width = options.no_trunc ? std::string::npos : 60;
    for (const auto& step : steps) {
        table.add({step.history.created ? ago(*step.history.created) : "", one_line(step.history.created_by, width),
                   step.diff ? human_size(step.size) : "0 B", one_line(step.history.comment, width)});
    }
    print(table.str());
}

}  // namespace

void add_history(CLI::App& command, Globals& globals) {
    auto options = std::make_shared<HistoryOptions>();
    command.add_option("image", options->image, "Name or ID")->required()->type_name("");
    command.add_option("--format", options->format, "table or json")->type_name("table|json");
    command.add_flag("--no-trunc", options->no_trunc, "Don't cut long lines");
    command.callback([options, &globals] { history(globals, *options); });
}

}  // namespace mkimg::cli
