'use strict'

// Run by test/workers.test.ts: loads the addon three times in one process, twice of them in
// contexts of their own.
const vm = require('node:vm')
const { addonFile } = require('../../dist/kernel/addon')

const path = addonFile()

function load() {
  const module = { exports: {} }
  const context = vm.createContext({ process, module, path })
  vm.runInContext('process.dlopen(module, path)', context)
  return { context, native: module.exports }
}

const first = load()
const second = load()
const own = require(path)
const results = []
for (const { context, native } of [first, second, { context: undefined, native: own }]) {
  const { AF_INET, SOCK_STREAM, SOL_SOCKET, SO_LINGER, SO_KEEPALIVE } = native.constants
  const fd = native.openSocket(AF_INET, SOCK_STREAM, 0)
  const bytes =
    context === undefined
      ? new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0])
      : vm.runInContext('new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0])', context)
  results.push({
    fd: fd > 2,
    set: native.setInt(fd, SOL_SOCKET, SO_KEEPALIVE, 1),
    setBytes: native.setBytes(fd, SOL_SOCKET, SO_LINGER, bytes),
    // The next context reads this value into memory of its own.
    get: own.getInt(fd, SOL_SOCKET, SO_KEEPALIVE),
    linger: [first.native.getBytes(fd, SOL_SOCKET, SO_LINGER, bytes), [...bytes]],
    close: native.closeFd(fd),
    closed: own.getInt(fd, SOL_SOCKET, SO_KEEPALIVE) < 0,
  })
}
process.stdout.write(JSON.stringify({ results, same: first.native === second.native }))
