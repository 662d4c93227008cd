'use strict'

/**
 * coverage.js FOLDER: prints the line coverage of lib/ and of native/, file by file where it is not full;
 * fails where one of them is below its threshold.
 */
const { execFileSync } = require('node:child_process')
const { readFileSync, readdirSync } = require('node:fs')
const { join, relative } = require('node:path')
const { fileURLToPath } = require('node:url')
const { mergeProcessCovs } = require('@bcoe/v8-coverage')
const { createCoverageMap } = require('istanbul-lib-coverage')
const toIstanbul = require('v8-to-istanbul')

const folder = process.argv[2]
const thresholds = { 'lib/': 95, 'native/': 90 }

/** Lines of each file of lib/: as Jest has counted them, and as the programs that tests start ran them. */
async function ofLib() {
  const map = createCoverageMap(JSON.parse(readFileSync(join(folder, 'lib/coverage-final.json'))))
  for (const { url, functions } of ofPrograms()) {
    const converter = toIstanbul(fileURLToPath(url))
    await converter.load()
    converter.applyCoverage(functions)
    map.merge(converter.toIstanbul())
    converter.destroy()
  }
  return map.files().map((path) => {
    const { total, covered } = map.fileCoverageFor(path).toSummary().lines
    const name = relative(process.cwd(), path)
    return { name, total, missed: total - covered, where: '' }
  })
}

/** What V8 counted of dist/ in the processes that tests started, all of them together. */
function ofPrograms() {
  const programs = join(folder, 'programs')
  const counts = readdirSync(programs).map((file) => {
    const result = resultIn(join(programs, file))
    return {
      result: result.filter(({ url }) => url.startsWith('file:') && isOfDist(fileURLToPath(url))),
    }
  })
  return mergeProcessCovs(counts).result
}

/** Nothing of a process that a test killed while it wrote, as of one killed before. */
function resultIn(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).result
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    console.log(`${file} is incomplete: ${error.message}`)
    return []
  }
}

function isOfDist(path) {
  return path.startsWith(join(process.cwd(), 'dist/'))
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

async function main() {
  const results = [judge('lib/', await ofLib()), judge('native/', ofNative())]
  process.exitCode = results.every(Boolean) ? 0 : 1
}

void main()
