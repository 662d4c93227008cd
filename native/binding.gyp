{
  "targets": [
    {
      "target_name": "socket_tuner",
      "conditions": [
        ["OS=='win'", {
          # Node exposes no descriptor on Windows: there is nothing for native code to do there.
          "type": "none"
        }, {
          "sources": [
            "addon.cc",
            "batch.cc",
            "constants.cc",
            "group_table.cc",
            "netlink.cc",
            "owner.cc",
            "queues.cc",
            "signal_text.cc",
            "sock_diag.cc",
            "sock_diag_destroy.cc",
            "sock_diag_dump.cc",
            "socket.cc",
            "sockopt.cc",
            "tcp_info.cc"
          ],
          "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
          "defines": [
            "NAPI_VERSION=9",
            "NAPI_DISABLE_CPP_EXCEPTIONS",
            "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
          ],
          # With 64-bit file offsets glibc makes fcntl64 of fcntl, which musl lacks.
          "cflags_cc": [
            "-std=c++17",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-fvisibility=hidden",
            "-U_FILE_OFFSET_BITS"
          ],
          "xcode_settings": {
            "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
            "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
            "WARNING_CFLAGS": ["-Wall", "-Wextra", "-Wpedantic"]
          }
        }]
      ]
    }
  ]
}
