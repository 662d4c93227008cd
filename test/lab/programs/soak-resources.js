'use strict'

/** What a process of the soak holds: what must not grow, and what it has used. */
const { readdirSync } = require('node:fs')
const { collectAll, ownMemory } = require('./collect')

exports.resources = async () => {
  await collectAll()
  const { heapUsed } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const descriptors = readdirSync('/proc/self/fd').length
  return { descriptors, heapUsed, ownMemory: ownMemory(), cpuSeconds: (user + system) / 1e6 }
}
