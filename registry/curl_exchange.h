// One request and its response as libcurl's callbacks see them. libcurl is C: no exception may pass through
// it, so a callback keeps what was thrown and makes libcurl stop.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "registry/curl_handle.h"
#include "registry/transport.h"

namespace mkimg::registry {

class CurlExchange {
  public:
    // All borrowed; `receiver` may be null.
    CurlExchange(const Request& request, Receiver* receiver) : request_(request), receiver_(receiver) {}
    CurlExchange(const CurlExchange&) = delete;
    CurlExchange& operator=(const CurlExchange&) = delete;

    // Sets the callbacks, which point to this object, and what the request itself says.
    void attach(CURL* easy);

    // The result of a transfer that libcurl ended with `code`: true where the response counts. Throws what a
    // callback threw.
    bool answered(CURLcode code) const;
    bool has_head() const noexcept { return head_complete_; }
    std::uint64_t received() const noexcept { return received_; }
    Response take() noexcept { return std::move(response_); }

    // "GET https://example.com/v2/", for messages.
    std::string describe() const;

  private:
    static std::size_t on_header(const char* bytes, std::size_t size, std::size_t count, void* self) noexcept;
    static std::size_t on_body(const char* bytes, std::size_t size, std::size_t count, void* self) noexcept;
    static std::size_t on_read(char* buffer, std::size_t size, std::size_t count, void* self) noexcept;
    static int on_seek(void* self, curl_off_t offset, int origin) noexcept;

    void header(std::string_view line);
    void status_line(std::string_view line);
    void field(std::string_view line);
    void head_done();
    // False: enough of it.
    bool body(std::span<const std::byte> bytes);
    std::size_t read(std::span<std::byte> buffer);

    bool successful() const noexcept { return response_.status >= 200 && response_.status < 300; }
    [[noreturn]] void too_large() const;

    const Request& request_;
    Receiver* receiver_;
    CurlList headers_;
    std::unique_ptr<Source> upload_;
    std::uint64_t unsent_ = 0;
    Response response_;
    std::uint64_t header_bytes_ = 0;
    std::uint64_t received_ = 0;  // of the body
    bool head_complete_ = false;
    bool cut_ = false;  // of an error's body, enough was read
    std::exception_ptr failure_;
};

}  // namespace mkimg::registry
