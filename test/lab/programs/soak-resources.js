'use strict'

/** The resources of a process in the soak test: those that must not grow, and the processor time. */
const { readdirSync } = require('node:fs')
const { collectAll, ownMemory } = require('./collect')

exports.resources = async () => {
  await collectAll()
  const { heapUsed } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const descriptors = readdirSync('/proc/self/fd').length
  return { descriptors, heapUsed, ownMemory: ownMemory(), cpuSeconds: (user + system) / 1e6 }
}
