'use strict'

/** Leaves of the memory only what is kept, and measures it. */
const { readFileSync } = require('node:fs')
const { setTimeout: delay } = require('node:timers/promises')
const v8 = require('node:v8')
const vm = require('node:vm')

v8.setFlagsFromString('--expose-gc')
const collect = vm.runInNewContext('gc')

exports.collectAll = async () => {
  // What is closed in this turn of the loop is gone in one of the next.
  for (let turns = 0; turns < 5; turns++) {
    collect()
    await delay(10)
  }
}

/**
 * What of memory and swap this process has to itself, bytes: RssAnon and VmSwap (proc_pid_status(5)). Of the
 * resident set (RSS) the kernel takes program files away, and gives them back, as it pleases.
 */
exports.ownMemory = () => {
  const status = readFileSync('/proc/self/status', 'latin1')
  const kilobytes = (name) => Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(status)[1])
  return 1024 * (kilobytes('RssAnon') + kilobytes('VmSwap'))
}
