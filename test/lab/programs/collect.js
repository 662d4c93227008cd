'use strict'

/** Collects garbage and then measures the memory. */
const { readFileSync } = require('node:fs')
const { setTimeout: delay } = require('node:timers/promises')
const v8 = require('node:v8')
const vm = require('node:vm')

v8.setFlagsFromString('--expose-gc')
const collect = vm.runInNewContext('gc')

exports.collectAll = async () => {
  // A handle that is closed in this turn of the event loop is released in a later one.
  for (let turns = 0; turns < 5; turns++) {
    collect()
    await delay(10)
  }
}

/**
 * The private memory and swap of this process, bytes: RssAnon and VmSwap (proc_pid_status(5)). The resident set (RSS)
 * also includes pages of program files, which the kernel may drop and reload at any time.
 */
exports.ownMemory = () => {
  const status = readFileSync('/proc/self/status', 'latin1')
  const kilobytes = (name) => Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(status)[1])
  return 1024 * (kilobytes('RssAnon') + kilobytes('VmSwap'))
}
