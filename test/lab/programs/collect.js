'use strict'

/** Leaves of the memory only what is kept. */
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
