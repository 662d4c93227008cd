'use strict'

/** Runs every program in examples/. Each checks its own result, and exits with 0. */
const { spawnSync } = require('node:child_process')
const { readdirSync } = require('node:fs')
const { join } = require('node:path')

const folder = join(__dirname, '..', 'examples')
let failed = 0
for (const file of readdirSync(folder).filter((name) => /\.[cm]?js$/.test(name))) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, file)], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} examples/${file}`)
  if (status === 0) continue
  failed++
  console.log(stdout, stderr)
}
process.exitCode = failed === 0 ? 0 : 1
