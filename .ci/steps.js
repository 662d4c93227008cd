'use strict'

/**
 * The steps of `.ci/run`. A step is a command that exits with 0 on success; a suite is a Jest run, whose tests are
 * counted individually. Each step needs about one processor. Others run at the same time, so none may write into dist/,
 * build/ or a file that another one reads. `after` names the step that must end before. Lines of a log that match
 * `shows` are printed even if the step passes: seeds and figures.
 */

/** Steps that run first, one after another. If one fails, nothing else is run. */
const setUp = [
  { name: 'tools', command: 'bash .ci/tools' },
  { name: 'packages', command: 'bash .ci/packages' },
]

const isFull = process.env.PROOFS === 'full'
/** Skips the tests that do not depend on the release of Node: the step for coverage runs them. */
const ofNode = isFull ? '' : ' --config jest.node.config.js'

/** The longest steps are first, so that none of them runs alone at the end. */
const steps = [
  {
    name: 'lab',
    command: 'bash .ci/lab',
    isSuite: true,
    shows: /^SCHEDULES_SEED|MiB$|connections in/,
  },
  {
    name: 'unit on Node 20, coverage',
    command: 'PROOFS=quick bash .ci/isolated bash .ci/coverage',
    isSuite: true,
    shows: /^(lib|native)\/: /,
  },
  {
    name: 'unit on Node 26',
    command: `PROOFS=quick bash .ci/isolated bash .ci/on-node 26${ofNode}`,
    isSuite: true,
  },
  {
    name: 'unit on Node 24',
    command: `PROOFS=quick bash .ci/isolated bash .ci/on-node 24${ofNode}`,
    isSuite: true,
  },
  {
    name: 'unit on Node 22, unprivileged',
    command: `PROOFS=quick bash .ci/isolated bash .ci/unprivileged 22${ofNode}`,
    isSuite: true,
  },
  {
    name: 'unit, sanitized',
    command: 'bash .ci/isolated bash .ci/sanitize',
    isSuite: true,
    shows: /^[a-z]+-program\.js \d+ \d+$/,
  },
  // These steps share their downloads and the package.
  { name: 'arm64 in qemu', command: 'bash .ci/arm64' },
  { name: 'package', command: 'bash .ci/package', after: 'arm64 in qemu' },
  { name: 'install matrix', command: 'bash .ci/install-matrix', after: 'package' },
  { name: 'loading', command: 'bash .ci/loading', after: 'install matrix' },
  { name: 'lint', command: 'npm run --silent lint' },
  { name: 'declarations, by many compilers', command: 'bash .ci/types-matrix' },
  { name: 'format of native code', command: 'bash .ci/format' },
  { name: 'clang-tidy', command: 'bash .ci/tidy' },
  {
    name: 'demo',
    command: `bash .ci/isolated node dist/cli/main.js demo ${isFull ? '' : '--loopback'}`,
  },
  { name: 'valgrind', command: 'bash .ci/memcheck', shows: /ERROR SUMMARY/ },
  { name: 'macOS, compiled only', command: 'bash .ci/darwin' },
  { name: 'answers of the kernel, fuzzed', command: 'bash .ci/fuzz-netlink', shows: /Seed|^Done/ },
  { name: 'examples', command: 'bash .ci/isolated node .ci/examples.js' },
  { name: 'compiler warnings', command: 'bash .ci/warnings' },
  { name: 'types', command: 'npm run --silent typecheck' },
  { name: 'additions', command: 'bash .ci/isolated bash .ci/additions' },
  { name: 'docs', command: 'node scripts/docs.js --check' },
  { name: 'layouts', command: 'node scripts/layouts.js --check' },
  { name: 'report assets', command: 'node scripts/report-assets.js --check' },
]

module.exports = { setUp, steps }
