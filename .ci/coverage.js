'use strict'

/**
 * coverage.js FOLDER: prints the line coverage of lib/ and of native/, file by file where it is not full;
 * fails where one of them is below its threshold.
 */
const { execFileSync } = require('node:child_process')
const { readFileSync, readdirSync } = require('node:fs')
const { join, relative } = require('node:path')

const folder = process.argv[2]
const thresholds = { 'lib/': 95, 'native/': 90 }

/** Lines of each file of lib/, as Jest has counted them. */
function ofLib() {
  const { total: _, ...files } = JSON.parse(readFileSync(join(folder, 'lib/coverage-summary.json')))
  return Object.entries(files).map(([path, { lines }]) => ({
    name: relative(process.cwd(), path),
    total: lines.total,
    missed: lines.total - lines.covered,
    where: '',
  }))
}

/** Lines of each file of native/: a line of a template or of a header counts once. */
function ofNative() {
  const objects = join(folder, 'objects')
  const notes = readdirSync(objects).filter((name) => name.endsWith('.gcno'))
  const counts = new Map()
  for (const note of notes) {
    const json = execFileSync('gcov', ['--json-format', '--stdout', join(objects, note)])
    for (const { file, lines } of JSON.parse(json).files) {
      if (!file.startsWith('native/')) continue
      const known = counts.get(file) ?? new Map()
      counts.set(file, known)
      for (const { line_number: line, count } of lines) {
        known.set(line, Math.max(known.get(line) ?? 0, count))
      }
    }
  }
  return [...counts].map(([name, lines]) => {
    const missed = [...lines].filter(([, count]) => count === 0).map(([line]) => line)
    return {
      name,
      total: lines.size,
      missed: missed.length,
      where: missed.toSorted((a, b) => a - b).join(' '),
    }
  })
}

function judge(what, files) {
  const total = files.reduce((sum, file) => sum + file.total, 0)
  const missed = files.reduce((sum, file) => sum + file.missed, 0)
  const percent = (100 * (total - missed)) / total
  for (const { name, total, missed, where } of files) {
    if (missed > 0) console.log(`  ${name}: ${missed} of ${total} lines missed ${where}`)
  }
  const wanted = thresholds[what]
  console.log(`${what}: ${percent.toFixed(2)} % of ${total} lines (at least ${wanted} % wanted)`)
  return percent >= wanted
}

const results = [judge('lib/', ofLib()), judge('native/', ofNative())]
process.exitCode = results.every(Boolean) ? 0 : 1
