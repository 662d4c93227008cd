'use strict'

/** What a process of the soak holds: what must not grow, and what it has used. */
const { readdirSync } = require('node:fs')
const v8 = require('node:v8')
const vm = require('node:vm')

v8.setFlagsFromString('--expose-gc')
const collect = vm.runInNewContext('gc')

/** After a collection, so that only what is kept counts. */
exports.resources = () => {
  collect()
  const { heapUsed, rss } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const descriptors = readdirSync('/proc/self/fd').length
  return { descriptors, heapUsed, rss, cpuSeconds: (user + system) / 1e6 }
}
