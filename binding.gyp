{
  "targets": [
    {
      "target_name": "addon",
      "conditions": [
        [
          "OS=='linux'",
          {
            "sources": [
              "native/addon.cc",
              "native/send_to_each.cc",
              "native/diag_linux.cc",
              "native/pidfd_linux.cc",
              "native/tcp_linux.cc"
            ],
            "include_dirs": [
              "<!(node -p \"require('node-addon-api').include_dir\")"
            ],
            "defines": [
              "NAPI_VERSION=8",
              "NODE_ADDON_API_DISABLE_DEPRECATED",
              "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS"
            ],
            "configurations": {
              "Release": { "cflags!": ["-O3"], "cflags": ["-O2"] }
            },
            "cflags": ["-fvisibility=hidden", "-Wall", "-Wextra"],
            "cflags_cc": [
              "-std=c++17",
              "-fno-exceptions",
              "-fno-rtti",
              "-fvisibility-inlines-hidden"
            ]
          },
          { "type": "none" }
        ]
      ]
    }
  ]
}
