#include "oci/image_config.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "oci/json_fields.h"

namespace mkimg::oci {
namespace {

using Json = nlohmann::json;

Healthcheck parse_healthcheck(const Fields& fields) {
    Healthcheck check;
    check.test = fields.text_or_texts("Test").value_or(std::vector<std::string>{});
    check.interval = fields.integer("Interval");
    check.timeout = fields.integer("Timeout");
    check.start_period = fields.integer("StartPeriod");
    check.start_interval = fields.integer("StartInterval");
    check.retries = fields.integer("Retries");
    return check;
}

void parse_settings(const Fields& fields, ImageConfig& config) {
    config.user = fields.text("User");
    config.env = fields.texts("Env").value_or(std::vector<std::string>{});
    config.entrypoint = fields.text_or_texts("Entrypoint");
    config.cmd = fields.text_or_texts("Cmd");
    config.labels = fields.text_map("Labels");
    config.exposed_ports = fields.keys("ExposedPorts");
    config.volumes = fields.keys("Volumes");
    config.working_dir = fields.text("WorkingDir");
    config.stop_signal = fields.text("StopSignal");
    config.shell = fields.text_or_texts("Shell");
    if (const auto check = fields.object("Healthcheck")) config.healthcheck = parse_healthcheck(*check);
    config.on_build = fields.texts("OnBuild").value_or(std::vector<std::string>{});
}

std::vector<DiffId> parse_rootfs(const Fields& rootfs) {
    if (rootfs.text("type") != "layers") rootfs.fail("type", "must be \"layers\"");
    std::vector<DiffId> out;
    const auto texts = rootfs.texts("diff_ids").value_or(std::vector<std::string>{});
    if (texts.size() > max_layers) rootfs.fail("diff_ids", "has more than " + std::to_string(max_layers) + " layers");
    for (const std::string& text : texts) {
        const auto id = DiffId::parse(text);
        if (!id) rootfs.fail("diff_ids", "has \"" + text + "\", which is no SHA-256 digest");
        out.push_back(*id);
    }
    return out;
}

// Empty values are left out, as Go's omitempty does.
void put(Json& object, const char* key, const std::string& value) {
    if (!value.empty()) object[key] = value;
}
void put(Json& object, const char* key, std::int64_t value) {
    if (value != 0) object[key] = value;
}
void put(Json& object, const char* key, const std::vector<std::string>& value) {
    if (!value.empty()) object[key] = value;
}
// Where [] says something else than nothing.
void put(Json& object, const char* key, const std::optional<std::vector<std::string>>& value) {
    if (value) object[key] = *value;
}
void put_keys(Json& object, const char* key, const std::vector<std::string>& names) {
    for (const std::string& name : names) object[key][name] = Json::object();
}

Json settings_json(const ImageConfig& config) {
    Json out = Json::object();
    put(out, "User", config.user);
    put(out, "Env", config.env);
    put(out, "Entrypoint", config.entrypoint);
    put(out, "Cmd", config.cmd);
    if (!config.labels.empty()) out["Labels"] = config.labels;
    put_keys(out, "ExposedPorts", config.exposed_ports);
    put_keys(out, "Volumes", config.volumes);
    put(out, "WorkingDir", config.working_dir);
    put(out, "StopSignal", config.stop_signal);
    put(out, "Shell", config.shell);
    put(out, "OnBuild", config.on_build);
    if (config.healthcheck) {
        Json& check = out["Healthcheck"] = Json::object();
        put(check, "Test", config.healthcheck->test);
        put(check, "Interval", config.healthcheck->interval);
        put(check, "Timeout", config.healthcheck->timeout);
        put(check, "StartPeriod", config.healthcheck->start_period);
        put(check, "StartInterval", config.healthcheck->start_interval);
        put(check, "Retries", config.healthcheck->retries);
    }
    return out;
}

Json history_json(const std::vector<History>& history) {
    Json out = Json::array();
    for (const History& step : history) {
        Json entry = Json::object();
        if (step.created) entry["created"] = rfc3339(*step.created);
        put(entry, "created_by", step.created_by);
        put(entry, "author", step.author);
        put(entry, "comment", step.comment);
        if (step.empty_layer) entry["empty_layer"] = true;
        out.push_back(std::move(entry));
    }
    return out;
}

}  // namespace

ImageConfig ImageConfig::parse(std::string_view json) {
    const Json document = parse_document(json, "the image config");
    const Fields fields(document, "the image config");
    ImageConfig config;
    config.platform = fields.platform();
    config.created = fields.time("created");
    config.author = fields.text("author");
    if (const auto settings = fields.object("config")) parse_settings(*settings, config);
    if (const auto rootfs = fields.object("rootfs")) config.diff_ids = parse_rootfs(*rootfs);
    // Steps without a layer count too, so more of them than layers are allowed.
    for (const Fields& entry : fields.objects("history", 4 * max_layers)) {
        config.history.push_back({entry.time("created"), entry.text("created_by"), entry.text("author"),
                                  entry.text("comment"), entry.boolean("empty_layer")});
    }
    return config;
}

std::string ImageConfig::to_json() const {
    Json out = Json::object();
    out["os"] = platform.os;
    out["architecture"] = platform.architecture;
    put(out, "variant", platform.variant);
    if (created) out["created"] = rfc3339(*created);
    put(out, "author", author);
    out["config"] = settings_json(*this);
    Json ids = Json::array();
    for (const DiffId& id : diff_ids) ids.push_back(id.str());
    out["rootfs"] = Json{{"type", "layers"}, {"diff_ids", std::move(ids)}};
    if (!history.empty()) out["history"] = history_json(history);
    return write_document(out);
}

std::optional<std::string_view> ImageConfig::env_value(std::string_view name) const {
    for (const std::string& entry : env) {
        const std::string_view text = entry;
        if (text.size() > name.size() && text.starts_with(name) && text[name.size()] == '=') {
            return text.substr(name.size() + 1);
        }
    }
    return std::nullopt;
}

void ImageConfig::set_env(std::string_view name, std::string_view value) {
    const std::string whole = std::string(name) + "=" + std::string(value);
    const std::string prefix = std::string(name) + "=";
    const auto found =
        std::find_if(env.begin(), env.end(), [&](const std::string& entry) { return entry.starts_with(prefix); });
    if (found == env.end()) {
        env.push_back(whole);
    } else {
        *found = whole;
    }
}

}  // namespace mkimg::oci
