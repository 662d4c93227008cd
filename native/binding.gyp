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
            "addon/addon.cc",
            "addon/batch.cc",
            "addon/constants.cc",
            "addon/ended_sockets.cc",
            "addon/owner.cc",
            "addon/poller.cc",
            "addon/queues.cc",
            "addon/signal_text.cc",
            "addon/sock_diag_destroy.cc",
            "addon/sock_diag_dump.cc",
            "addon/socket.cc",
            "addon/socket_list.cc",
            "addon/sockopt.cc",
            "kernel/address.cc",
            "kernel/batch.cc",
            "kernel/constants.cc",
            "kernel/ended_sockets.cc",
            "kernel/group_table.cc",
            "kernel/netlink.cc",
            "kernel/poller.cc",
            "kernel/queues.cc",
            "kernel/signal_text.cc",
            "kernel/sock_diag_destroy.cc",
            "kernel/sock_diag_dump.cc",
            "kernel/socket.cc",
            "kernel/socket_list.cc",
            "kernel/sockopt.cc",
            "kernel/tcp_info.cc"
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
