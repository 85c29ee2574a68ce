#include "registry/curl_exchange.h"

#include <algorithm>
#include <new>

#include "base/text.h"
#include "registry/curl_options.h"

namespace mkimg::registry {
namespace {

constexpr std::uint64_t longest_head = 256U << 10U;       // of all headers of an answer, interim ones included
constexpr std::size_t longest_error = 64U << 10U;         // of an error's body
constexpr std::uint64_t expects_continue = 1024U * 1024;  // bodies from this size on wait for leave to be sent

void append(CurlList& list, const std::string& line) {
    curl_slist* const longer = curl_slist_append(list.get(), line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    static_cast<void>(list.release());
    list.reset(longer);
}

// A value that a server or a file gave must not begin a header of its own.
void append_header(CurlList& list, const std::string& name, const std::string& value) {
    const auto is_control = [](char c) { return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f'; };
    if (std::any_of(name.begin(), name.end(), is_control) || std::any_of(value.begin(), value.end(), is_control)) {
        throw Error(ErrorCode::corrupt, "the header " + printable(name) + " would hold a control byte");
    }
    // libcurl's way to write a header without a value.
    append(list, value.empty() ? name + ";" : name + ": " + value);
}

// Keeps what `callback` throws; then its value is `failed`.
template <typename Result, typename Callback>
Result guarded(std::exception_ptr& failure, Result failed, Callback callback) noexcept {
    try {
        return callback();
    } catch (...) {
        failure = std::current_exception();
        return failed;
    }
}

}  // namespace

void CurlExchange::attach(CURL* easy) {
    set_option(easy, CURLOPT_URL, request_.url.str().c_str());
    set_option(easy, CURLOPT_HEADERFUNCTION, &CurlExchange::on_header);
    set_option(easy, CURLOPT_HEADERDATA, this);
    set_option(easy, CURLOPT_WRITEFUNCTION, &CurlExchange::on_body);
    set_option(easy, CURLOPT_WRITEDATA, this);

    for (const auto& [name, value] : request_.headers) append_header(headers_, name, value);
    const std::string& method = request_.method;
    if (method == "HEAD") {
        set_option(easy, CURLOPT_NOBODY, 1L);
    } else if (request_.body || method == "POST" || method == "PUT" || method == "PATCH") {
        // As an upload whatever the method: libcurl's own POST would add a Content-Type.
        unsent_ = request_.body ? request_.body->size : 0;
        set_option(easy, CURLOPT_UPLOAD, 1L);
        set_option(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
        set_option(easy, CURLOPT_INFILESIZE_LARGE,
                   unsent_ == Body::unknown ? curl_off_t{-1} : static_cast<curl_off_t>(unsent_));
        set_option(easy, CURLOPT_READFUNCTION, &CurlExchange::on_read);
        set_option(easy, CURLOPT_READDATA, this);
        set_option(easy, CURLOPT_SEEKFUNCTION, &CurlExchange::on_seek);
        set_option(easy, CURLOPT_SEEKDATA, this);
        if (request_.body) upload_ = request_.body->open();
        // A server that knows no "Expect: 100-continue" lets us wait for a second: too long for a manifest.
        if (unsent_ < expects_continue) append(headers_, "Expect:");
    } else if (method != "GET") {
        set_option(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
    }
    set_option(easy, CURLOPT_HTTPHEADER, headers_.get());
}

bool CurlExchange::answered(CURLcode code) const {
    if (failure_) std::rethrow_exception(failure_);
    if (code == CURLE_OK || (cut_ && code == CURLE_WRITE_ERROR)) return true;
    // A server that refuses an upload need not read it to the end: it may answer and close, and then sending
    // fails. What it said counts, however much of its words came through.
    const bool broke_off = code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_PARTIAL_FILE;
    return broke_off && head_complete_ && response_.status >= 300;
}

std::string CurlExchange::describe() const {
    return printable(request_.method + " " + request_.url.redacted());
}

std::size_t CurlExchange::on_header(const char* bytes, std::size_t size, std::size_t count, void* self) noexcept {
    auto& exchange = *static_cast<CurlExchange*>(self);
    return guarded<std::size_t>(exchange.failure_, 0, [&] {
        exchange.header({bytes, size * count});
        return size * count;
    });
}

std::size_t CurlExchange::on_body(const char* bytes, std::size_t size, std::size_t count, void* self) noexcept {
    auto& exchange = *static_cast<CurlExchange*>(self);
    return guarded<std::size_t>(exchange.failure_, 0, [&]() -> std::size_t {
        return exchange.body(as_bytes({bytes, size * count})) ? size * count : 0;
    });
}

std::size_t CurlExchange::on_read(char* buffer, std::size_t size, std::size_t count, void* self) noexcept {
    auto& exchange = *static_cast<CurlExchange*>(self);
    return guarded<std::size_t>(exchange.failure_, CURL_READFUNC_ABORT,
                                [&] { return exchange.read(std::as_writable_bytes(std::span(buffer, size * count))); });
}

// libcurl sends a body again where a connection that it had kept turned out to be closed. Not so for a blob: the
// registry may have taken a part of it, and only who asks it how much can go on.
int CurlExchange::on_seek(void* self, curl_off_t offset, int origin) noexcept {
    auto& exchange = *static_cast<CurlExchange*>(self);
    return guarded<int>(exchange.failure_, CURL_SEEKFUNC_FAIL, [&]() -> int {
        if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
        if (!exchange.request_.body) return CURL_SEEKFUNC_OK;
        if (!exchange.request_.document) return CURL_SEEKFUNC_FAIL;
        exchange.upload_ = exchange.request_.body->open();
        exchange.unsent_ = exchange.request_.body->size;
        return CURL_SEEKFUNC_OK;
    });
}

void CurlExchange::header(std::string_view line) {
    header_bytes_ += line.size();
    if (header_bytes_ > longest_head) {
        throw Error(ErrorCode::corrupt,
                    describe() + ": the answer has more than " + human_size(longest_head) + " of headers");
    }
    const bool begins = line.starts_with("HTTP/");
    // What follows a head are trailers, or another answer where libcurl asked again (417).
    if (head_complete_ && (successful() || !begins)) return;
    if (begins) {
        status_line(line);
    } else if (trim(line).empty()) {
        head_done();
    } else {
        field(line);
    }
}

void CurlExchange::status_line(std::string_view line) {
    response_ = {};
    head_complete_ = cut_ = false;
    received_ = 0;
    const std::size_t blank = line.find(' ');
    const auto status = blank == std::string_view::npos ? std::nullopt : parse_u64(line.substr(blank + 1, 3));
    response_.status = status ? static_cast<int>(*status) : 0;
}

void CurlExchange::field(std::string_view line) {
    const bool folded = line.starts_with(' ') || line.starts_with('\t');
    if (folded && !response_.headers.empty()) {
        response_.headers.back().second += " " + std::string(trim(line));
        return;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    response_.headers.emplace_back(to_lower(trim(line.substr(0, colon))), trim(line.substr(colon + 1)));
}

void CurlExchange::head_done() {
    if (response_.status < 200) return;  // interim: the answer is still to come
    head_complete_ = true;
    if (!successful()) return;
    const auto length = response_.header("content-length");
    const auto bytes = length ? parse_u64(*length) : std::nullopt;
    if (request_.method != "HEAD" && bytes && *bytes > request_.limit) too_large();
    if (receiver_ != nullptr) receiver_->begin(response_);
}

bool CurlExchange::body(std::span<const std::byte> bytes) {
    received_ += bytes.size();
    if (!successful()) {
        const std::size_t room = longest_error - std::min(longest_error, response_.body.size());
        response_.body += as_text(bytes.first(std::min(room, bytes.size())));
        cut_ = bytes.size() > room;
        return !cut_;
    }
    if (received_ > request_.limit) too_large();
    if (receiver_ != nullptr) {
        receiver_->write(bytes);
    } else {
        response_.body += as_text(bytes);
    }
    return true;
}

std::size_t CurlExchange::read(std::span<std::byte> buffer) {
    // Refused: the rest need not be sent. libcurl stops by itself, except where the server is about to close.
    if (head_complete_ && response_.status >= 300) return 0;
    if (unsent_ == 0) return 0;
    const std::size_t n = upload_->read(buffer.first(std::min<std::uint64_t>(buffer.size(), unsent_)));
    if (unsent_ == Body::unknown) return n;
    if (n == 0) throw Error(ErrorCode::corrupt, describe() + ": the content to send is shorter than it should be");
    unsent_ -= n;
    return n;
}

void CurlExchange::too_large() const {
    throw Error(ErrorCode::corrupt,
                describe() + ": the answer is larger than the " + human_size(request_.limit) + " allowed");
}

}  // namespace mkimg::registry
