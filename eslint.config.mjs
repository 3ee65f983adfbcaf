import neostandard, { plugins, resolveIgnoresFromGitignore } from 'neostandard'

/** The rooms of `lib/` do not import each other's insides: they meet in `lib/shared/` and `types/`, and through the app's decorators. */
function room (name, others, ...more) {
  return {
    files: [`lib/${name}/**/*.ts`],
    plugins: { '@typescript-eslint': plugins['typescript-eslint'].plugin },
    rules: {
      '@typescript-eslint/no-restricted-imports': ['error', {
        patterns: [
          { group: others.map((other) => `**/${other}/**`), message: 'Rooms share lib/shared and types alone.' },
          ...more
        ]
      }]
    }
  }
}

export default [
  ...neostandard({ ts: true, ignores: [...resolveIgnoresFromGitignore(), 'test/readme/**', 'lib/control/dashboard/assets.ts'] }),
  { files: ['index.ts', 'lib/**/*.{ts,tsx}', 'types/**/*.ts'], rules: { 'no-console': 'error' } },
  room('tasks', ['control', 'jobs', 'processes'], { group: ['fastify'], allowTypeImports: true, message: 'The core takes the types of fastify alone.' }),
  room('control', ['tasks', 'jobs', 'processes']),
  room('jobs', ['tasks', 'control', 'processes']),
  room('processes', ['tasks', 'control', 'jobs']),
  room('shared', ['tasks', 'control', 'jobs', 'processes']),
  {
    files: ['test/**/*.ts', 'benchmarks/**/*.ts', 'examples/**/*.ts'],
    rules: {
      'no-restricted-imports': ['error', {
        patterns: [{ regex: '^(\\.\\./)*\\.\\.$', message: "Import '../index': a folder stands for its build, if there is one." }]
      }]
    }
  }
]
