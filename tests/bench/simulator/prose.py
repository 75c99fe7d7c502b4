"""What the page says around its tables. Figures in braces are computed by page.py, so that no sentence outlives its numbers."""

from __future__ import annotations

from typing import Final

INTRODUCTION: Final = """\
# Which method, and how wrong is it?

No serving engine says what each request cost, so every chargeback of shared GPUs rests on a method that nobody can check.
Here it can be checked: a simulator of a continuous-batching engine (chunked prefill, decode batch, prefix cache, KV limit)
knows what each step cost and who was in it. `make methods` runs {count} workloads of three to five teams through it, lets every
method divide the same busy time, and writes this page; a test holds the page to what the command writes.

**The truth** is the Shapley value of each step: weights are read once for whoever is in the batch, so that part is shared
equally; prompt tokens computed and context read belong to who brought them. For costs of that shape this closed form *is* the
mean over every order of joining (a test compares it with brute force). It takes the schedule as it was: what would have been
scheduled had a team stayed away is another question, and no bill answers it.

**The money** of `weights` is the product's own: the simulated logs land in a ledger and are metered, and must agree to the nano
with the arithmetic this page uses for all methods. All methods divide the same total; none loses a nano.

![Money on the wrong team, by method](methods.svg)
"""

CHOICE: Final = """\
## What to choose

1. **Where the engine tells seconds by phase, or phases have GPUs of their own: `measured`** (median {measured_median} of the money on the wrong
   team, phase split {measured_phase} off and never more than {measured_phase_most}). Steps that hold both phases are split by tokens: most of its error.
2. **Else a load test: `throughput`**, prompts alone and decoding alone on your own requests: {throughput_median}, phases {throughput_phase}. Set the weights
   of the policy from the same two runs (`calibrated weights`), and it is {calibrated_weights_median}. It fails where a phase hardly exists (`embeddings`).
3. **`roofline`** needs no measurement and is {roofline_median}; it is as good as the batch that it assumes, and far off in light load.
4. **`weights` 1 / 0.1 / 6** are {weights_median}, at most {weights_most}. They say little about phases ({weights_phase} off) and rather more about teams, as
   long as teams use the model alike. They are for beginning with.
5. **`blended`, and one price for every token**, are {blended_median} and {one_price_per_token_median}: input-heavy teams pay for others' output.

**Regression of busy seconds on tokens does not work on a batching engine**: one running request keeps it as busy as fifty do.
Its R2 gate (0.9) lets {gate_passed} of {count} workloads pass ({gate_names}), and what passes is no better for it; elsewhere the weights decide.
With the **number of steps** as a further column (`_count` of the histogram `vllm:iteration_tokens_total`) the same least squares find the
simulator's constants nearly exactly: {regression_on_steps_median}, phases {regression_on_steps_phase}. Expect less of real engines, whose steps are not quite linear.

**A context weight helps only beside a calibrated output weight.** Added to the default weights it is better in {context_better} of {count} workloads: an
output weight of 6 is too low for small batches, and context added on top of it makes long ones pay for that. `long decode`: {long_decode_weights}
by weights, {long_decode_weights_context} with context, {long_decode_calibrated_weights} calibrated. `agents`: {agents_weights} and {agents_weights_context}.

**No weight of tokens knows the batch.** A token made alone costs many times one made in a crowd. Where that differs between teams
*within an hour*, every method of the ladder is as wrong as the next: `day and night` {day_and_night_weights}, `bursty` {bursty_weights}. **Processor sharing**, an equal
part of each instant to each running request, gets those right ({day_and_night_processor_sharing} and {bursty_processor_sharing}), and speculative decoding too ({speculative_processor_sharing} against {speculative_weights}): it needs
durations, not tokens. It is wrong where requests that wait in the batch differ in work: `embeddings` {embeddings_processor_sharing}, `batch` {batch_processor_sharing}. So it audits, and
does not bill: `apportion audit shares` puts both side by side for a day, and where they differ by much, look why. That it is so near here
owes something to the yardstick, which shares the weights by heads as well; whoever holds that a long prompt should bear more of
them will find it less near.
"""

ACROSS: Final = """\
## All methods over all workloads

*Wrong team*: total variation distance, the part of the money that is on a team other than the one that caused it. *Team error*:
of a team's own cost. *Phase error*: of the prefill share, in points. `+ context` weighs decoded tokens by context with what a token of
context costs against an input token, the other weights being the defaults.
"""

TEAMS: Final = """\
## By workload

Money on the wrong team:
"""

PHASES: Final = """\
Prefill share, points off:
"""

BASES: Final = """\
## Two bases that are wrong

**Summed request wall time as GPU time.** Requests run at once, so their seconds add up to {wall_least} to {wall_most} of the engine's busy time (median {wall_median}): as
seconds at a price it bills that much too much. Scaled down to the real cost, its teams are {summed_wall_time_median} off, its phases {summed_wall_time_phase}.

**The mean of a request taken for the sum.** A histogram's sum over its count is one request's decode time, not the engine's. The true
decode time is a median {mean_median} longer, so nearly all cost goes to prefill: {mean_taken_as_sum_median} of the money on the wrong team, phases {mean_taken_as_sum_phase} off.
"""

WORKLOADS_TEXT: Final = """\
## What was simulated
"""

END: Final = """\
Costs of a step (`tests/bench/simulator/cards.py`): weights read once; a prompt token and a decoded position by FLOPs; context by KV bytes and,
in prompts, attention FLOPs. For the 70B and 8B models: architecture over 80 % of the datasheet's bandwidth and 50 % of its dense FLOP/s. For the 7B:
VTC's fit of measured requests (arXiv 2401.00588: 0.2100 x + 0.1008 y + 0.003987 x y + 0.003247 y^2 + 1.146 ms), the weights' bytes as above. The simulated
engine never preempts, pays nothing for scheduling, and its costs are additive; `roofline` knows the datasheet but neither efficiency nor batch.
Which workloads are typical is not for a simulator to say: read the row that looks like yours.
"""
