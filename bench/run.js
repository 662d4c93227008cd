'use strict'

/** Runs all benchmarks, or the named ones, one after another, each in its own process. */
const { spawnSync } = require('node:child_process')
const { readdirSync } = require('node:fs')
const { join } = require('node:path')

const all = readdirSync(__dirname)
  .filter((name) => name.endsWith('.js') && name !== 'run.js')
  .map((name) => name.slice(0, -3))
const named = process.argv.slice(2)
const unknown = named.filter((name) => !all.includes(name))
if (unknown.length > 0) {
  console.error(`unknown benchmark ${unknown.join(', ')}: use one of ${all.join(', ')}`)
  process.exit(1)
}
for (const name of named.length > 0 ? named : all) {
  console.log(`\n== ${name}`)
  const { status } = spawnSync(process.execPath, [join(__dirname, `${name}.js`)], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exitCode = 1
}
