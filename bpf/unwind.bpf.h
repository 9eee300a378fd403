/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_UNWIND_BPF_H
#define MEMWATCH_UNWIND_BPF_H
/*
 * One step from a native frame to its caller's: by the rows that user space made of .eh_frame, by
 * frame pointers where there are none. A walk notes every stack word on which it depended, so that
 * a memo can later prove that the same walk would end the same.
 */
#include "maple.bpf.h"
#include "mapping.bpf.h"
#include "compat.bpf.h"

enum {
	WALK_WORDS = 160,        /* stack words that a memo can hold */
	ROW_STEPS = 16,          /* up to 65536 rows a page: one for each byte */
	PYTHON_FRAMES = 96,      /* Python frames that a memo can hold */
	PYTHON_FIELD = 127,      /* mask of a field's place in python_room */
	PYTHON_BYTES = PYTHON_FIELD + 1 + sizeof(((struct python_marks *)0)->parts),
	PYTHON_STATES = 3,       /* thread states of CPython in one stack: one for most programs */
	NEAR_WORDS = 24,         /* of the stack, that a walk reads at once */
	MEMO_WINDOW = 7168,      /* bytes that a check of a memo reads at once, in a walk's room */
};

struct python_frame { /* what one frame of CPython holds; `frame` is its address */
	u64 frame, code, back, instruction;
	u32 identity;
	u32 marker;
};

struct python_proof { /* that a frame holds what it held; `contents` is a hash of all of that */
	u64 frame, contents;
};

struct python_text { /* the head of a str, from its length on */
	u64 length, hash;
	u32 state, zero;
};

struct python_bytes { /* of a frame, with its fields in place; so that they are copied by words */
	u64 words[(PYTHON_FIELD + 1) / 8];
};

struct python_room { /* what is being read: not on the BPF stack, which is small in 6.1 */
	union {
		u8 bytes[PYTHON_BYTES]; /* of a frame or a code object, with its fields in place */
		u64 near[NEAR_WORDS];   /* of the stack, while no frame of CPython is read */
	};
	struct python_text file;
	u64 marked; /* the file's name that marks.file_* are of; 0: none yet of this stack */
	struct python_marks marks;
};

struct python_state { /* a PyThreadState, as a walk found it */
	u64 address;
	u64 youngest; /* frame; from here on as in 3.10's, of which one read takes both */
	u64 between[2];
	u64 cframe;   /* PYTHON_ANCHOR_CFRAME; else 0 */
};

struct python_search { /* of the state, or the shim frame, that belongs to a call; see its users */
	u64 interpreter; /* the next */
	u64 next;        /* state of the interpreter before */
	u64 frame;       /* the next on the way to its list's shim; 0: none */
	struct python_state state;
	bool complete;   /* nothing is left */
};

struct python_list { /* what is left of a thread state's frames */
	u64 frame;  /* the next; 0: none */
	u64 anchor; /* see enum python_anchor: where that one runs; 0: not known */
};

struct vma_seen { /* what the kernel says of an address */
	struct mapping_record mapping;
	struct file_key file;
	u64 unknown; /* bytes of that file, which nobody knows; 0: not so */
};

struct walk {
	/* the frame that stands next */
	u64 pc, sp, rbp;
	u64 near;        /* where the words in python_room are from; 0: there are none */
	u64 rbp_slot;    /* where rbp was read from; 0: it is still the start's */
	u64 slot;        /* of the first return address: words are counted from here */
	u64 hash;
	u32 first_mapping, mappings;
	struct mapping_record mapping; /* of the frame before: mostly it is this one's, too */
	struct vma_seen unknown; /* the last file that nobody knew */
	u32 book;
	u32 frames;      /* noted; of CPython and native */
	u32 word_count;  /* above WALK_WORDS: no memo can hold this walk */
	u32 last_place;  /* the greatest distance in words */
	bool ended;      /* no caller */
	bool exact;      /* pc is an interrupted instruction, not a return address */
	bool uses_rbp;   /* the walk depended on the rbp that it started with */
	bool no_slice;   /* the slice of mappings is outdated; the kernel is asked instead */
	bool outdated;   /* the kernel was asked */
	bool no_python;  /* frames of CPython are missing: nobody could say which */
	u64 python_low, python_high; /* the evaluator's frame in the C stack that was just noted */
	u32 python_list;     /* index of the list that is being noted */
	u32 python_states;
	struct python_state states[PYTHON_STATES];
	struct python_list lists[PYTHON_STATES]; /* of these states */
	struct python_search search; /* here, for 6.1 allows little stack */
	struct python_room python_room;
	u32 python_count;
	u64 pythons_low; /* the lowest of their addresses that one window reaches from the first */
	bool python_begun;   /* the thread's own state was looked at */
	bool python_own;     /* and is states[0] */
	bool in_python;      /* the list's next frame ran in the evaluator's frame just noted */
	u64 words[WALK_WORDS]; /* upper 16 bits: distance from slot, in words */
	struct python_proof pythons[PYTHON_FRAMES];
	struct stack_record record;
};

/* bpf_find_vma's callback. Leaves seen->mapping empty where there is no code. */
static long vma__read(struct task_struct *task, struct vm_area_struct *vma, struct vma_seen *seen)
{
	enum { EXEC = 4 }; /* VM_EXEC, include/linux/mm.h */
	struct file *file = BPF_CORE_READ(vma, vm_file);
	struct mapping_record *mapping = &seen->mapping;
	struct file_record *known;

	if (!(BPF_CORE_READ(vma, vm_flags) & EXEC))
		return 0;
	if (file) {
		seen->file.inode = BPF_CORE_READ(file, f_inode, i_ino);
		seen->file.device = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
		known = bpf_map_lookup_elem(&files, &seen->file);
		if (!known) {
			seen->unknown = BPF_CORE_READ(file, f_inode, i_size);
		} else if (!known->object) {
			return 0;
		} else {
			mapping->object = known->object;
			mapping->python = known->python;
		}
		mapping->offset = BPF_CORE_READ(vma, vm_pgoff) << PAGE_BITS;
	} else if (BPF_CORE_READ(vma, vm_ops)) {
		return 0; /* the kernel's own: vdso, uprobes */
	}
	mapping->start = BPF_CORE_READ(vma, vm_start);
	mapping->end = BPF_CORE_READ(vma, vm_end);
	return 0;
}

/* What was no longer the same when it had been read was perhaps another's already. */
static inline void vma__read_alone(u64 address, struct vma_seen *seen)
{
	struct vm_area_struct *vma = (struct vm_area_struct *)vma__without_lock(address);
	u64 start;

	if (!vma) /* what was just being changed has been, mostly */
		vma = (struct vm_area_struct *)vma__without_lock(address);
	if (!vma)
		return;
	vma__read(NULL, vma, seen);
	start = seen->mapping.start;
	if (address < start || address >= seen->mapping.end ||
	    (u64)vma != vma__without_lock(address) || BPF_CORE_READ(vma, vm_start) != start ||
	    (seen->mapping.object &&
	     BPF_CORE_READ(vma, vm_pgoff) << PAGE_BITS != seen->mapping.offset))
		__builtin_memset(seen, 0, sizeof(*seen));
}

/*
 * For as long as user space has not read the mappings (again), the kernel knows them. It does not
 * say when another thread changes some, or waits to: then they are looked at as they are.
 */
__noinline bool walk__ask_kernel(struct walk *walk, u64 address)
{
	enum { EBUSY = 16 };
	struct vma_seen seen = {};

	if (!walk)
		return false;
	walk->outdated = true;
	if (bpf_find_vma(bpf_get_current_task_btf(), address, vma__read, &seen, 0) == -EBUSY)
		vma__read_alone(address, &seen);
	if (seen.unknown)
		walk->unknown = seen;
	else if (seen.mapping.end)
		walk->mapping = seen.mapping;
	return seen.mapping.end && !seen.unknown;
}

static inline const struct mapping_record *mapping__at(struct walk *walk, u64 address)
{
	const struct mapping_record *mapping;

	if (address >= walk->mapping.start && address < walk->mapping.end)
		return &walk->mapping;
	mapping = walk->no_slice ? NULL
				 : mapping__below(walk->first_mapping, walk->mappings, address);
	if (mapping && address >= mapping->start && address < mapping->end && !mapping->stale)
		walk->mapping = *mapping;
	else if (!walk__ask_kernel(walk, address))
		return NULL;
	return &walk->mapping;
}

/* The place among `count` rows of the last that does not begin above `low`; else 0. */
__noinline u32 row__search(u32 first, u32 count, u32 low)
{
	u64 at = 0, next, take;
	struct unwind_row *row;
	u32 index;

#pragma unroll
	for (int step = ROW_STEPS - 1; step >= 0; step--) {
		if (count <= 1U << step)
			continue;
		take = below(at + (1 << step), count);
		next = at + (take << step);
		index = first + next;
		row = bpf_map_lookup_elem(&rows, &index);
		if (!row)
			return 0;
		at += (take & (below(low, row->low) ^ 1)) << step;
	}
	return at;
}

/* The row that holds at `offset` of the object's file, or NULL. */
static inline struct unwind_row *row__at(u32 object, u64 offset)
{
	struct page_key key = { .object = object, .page = offset >> 16 };
	struct page_rows *page = bpf_map_lookup_elem(&pages, &key);
	u32 index;

	if (!page || !page->count)
		return NULL;
	index = page->first + row__search(page->first, page->count, offset & 0xffff);
	return bpf_map_lookup_elem(&rows, &index);
}

static inline bool user__read(u64 address, u64 *word)
{
	return !bpf_probe_read_user(word, sizeof(*word), (const void *)address);
}

/* A word that may come to be there at another time (a page that is swapped out): no memo then. */
static inline bool walk__peek_alone(struct walk *walk, u64 address, u64 *word)
{
	if (user__read(address, word))
		return true;
	if ((address - walk->slot) / 8 <= 0xffff)
		walk->word_count = WALK_WORDS + 1;
	return false;
}

/* A word of the stack. Reads are dear, and those above it are mostly needed next. */
static inline bool walk__peek(struct walk *walk, u64 address, u64 *word)
{
	u64 place = (address - walk->near) / 8;

	if (address & 7)
		return walk__peek_alone(walk, address, word);
	asm volatile("" : "+r"(place)); /* one register for check and use */
	if (!walk->near || place >= NEAR_WORDS) {
		walk->near = address;
		if (bpf_probe_read_user(walk->python_room.near, sizeof(walk->python_room.near),
					(const void *)address)) {
			walk->near = 0; /* the stack may end before */
			return walk__peek_alone(walk, address, word);
		}
		place = 0;
	}
	*word = walk->python_room.near[place];
	return true;
}

/* A word on which the walk depends. */
static inline void walk__note(struct walk *walk, u64 address, u64 word)
{
	u32 n = walk->word_count;
	u64 place = (address - walk->slot) / 8;

	if (n >= WALK_WORDS || place > 0xffff || (address - walk->slot) & 7 ||
	    word != FRAME_ADDRESS(word)) {
		walk->word_count = WALK_WORDS + 1;
		return;
	}
	walk->words[n] = place << 48 | word;
	walk->word_count = n + 1;
	if (place > walk->last_place)
		walk->last_place = place;
}

/* rbp is about to be used: what it was read from matters, if it was read at all. */
static inline void walk__use_rbp(struct walk *walk)
{
	if (!walk->rbp_slot)
		walk->uses_rbp = true;
	else
		walk__note(walk, walk->rbp_slot, walk->rbp);
}

static inline bool walk__read(struct walk *walk, u64 address, u64 *word)
{
	if (!walk__peek(walk, address, word))
		return false;
	walk__note(walk, address, *word);
	return true;
}

/*
 * pc may be the trampoline of somebody's return probe, ours or another tool's. The real return
 * address is not on the stack, so no memo can vouch for such a walk.
 */
static inline bool walk__see_through(struct walk *walk)
{
	u64 original;

	if (walk->pc != trampoline__address())
		return false;
	original = trampoline__original(walk->sp - 8);
	if (!original)
		return false;
	walk->pc = original;
	walk->word_count = WALK_WORDS + 1;
	return true;
}

enum step { STEP_ON, STEP_END, STEP_BROKEN };

/* The caller's frame begins at `cfa`; its return address is just below. */
static inline enum step walk__enter(struct walk *walk, u64 cfa)
{
	u64 pc;

	if (cfa <= walk->sp || cfa & 7 || !walk__read(walk, cfa - 8, &pc))
		return STEP_BROKEN;
	walk->pc = pc;
	walk->sp = cfa;
	walk->exact = false;
	return pc ? STEP_ON : STEP_END;
}

/*
 * rbp is 0 in the outermost frame (x86-64 psABI 3.4.1), but code without frame pointers has any
 * other 0 there, too (HotSpot's, musl's): it ends no thread. Where a thread begins has a row that
 * says so.
 */
static inline enum step step__by_pointer(struct walk *walk)
{
	u64 frame = walk->rbp, rbp;

	walk__use_rbp(walk);
	if (frame < walk->sp || frame & 7 || !walk__peek(walk, frame, &rbp))
		return STEP_BROKEN;
	walk->rbp = rbp;
	walk->rbp_slot = frame;
	walk->record.pointers++;
	return walk__enter(walk, frame + 16);
}

/*
 * Code without a file may have frame pointers. If it goes on with add $n,%rsp; ret (CPython's perf
 * trampoline, which has none), that says where the caller is. No memo can vouch for such a walk:
 * other code may come to stand there.
 */
__noinline enum step step__by_code(struct walk *walk)
{
	enum { IMMEDIATE = 24 }; /* bits */
	const u64 mask = 0xff80ffffff, add_ret = 0xc300c48348;
	u64 code, n;

	if (!walk)
		return STEP_BROKEN;
	if (user__read(walk->pc, &code) && (code & mask) == add_ret) {
		n = code >> IMMEDIATE & 0xff;
		walk->word_count = WALK_WORDS + 1;
		return walk__enter(walk, walk->sp + n + 8);
	}
	/* A runtime's code may use rbp for anything (HotSpot): 0 ends no thread. */
	if (!walk->rbp)
		walk->word_count = WALK_WORDS + 1;
	return walk->rbp ? step__by_pointer(walk) : STEP_BROKEN;
}

/* struct rt_sigframe, seen from its ucontext: uc_mcontext.gregs begins at 40
 * (arch/x86/include/uapi/asm/sigcontext.h) */
static inline enum step step__from_signal(struct walk *walk)
{
	u64 gregs = walk->sp + 40, rbp, sp, pc;

	if (!walk__peek(walk, gregs + 10 * 8, &rbp) || !walk__read(walk, gregs + 15 * 8, &sp) ||
	    !walk__read(walk, gregs + 16 * 8, &pc))
		return STEP_BROKEN;
	walk->rbp = rbp;
	walk->rbp_slot = gregs + 10 * 8;
	walk->pc = pc;
	walk->sp = sp; /* of another stack, perhaps: the handler may run on one of its own */
	walk->exact = true;
	return STEP_ON;
}

static inline bool row__cfa(struct walk *walk, const struct unwind_row *row, u64 offset, u64 *cfa)
{
	s64 n = (s64)row->cfa * 8;

	switch (row->cfa_rule) {
	case UNWIND_RSP:
		*cfa = walk->sp + n;
		return true;
	case UNWIND_RSP_FAR:
		*cfa = walk->sp + 8 * ((u64)(row->rbp_rule >> 4) << 16 | (u16)row->cfa);
		return true;
	case UNWIND_RBP:
		walk__use_rbp(walk);
		*cfa = walk->rbp + n;
		return true;
	case UNWIND_DEREF_RSP:
		*cfa = walk->sp + n;
		break;
	case UNWIND_DEREF_RBP:
		walk__use_rbp(walk);
		*cfa = walk->rbp + n;
		break;
	case UNWIND_PLT:
		*cfa = walk->sp + 8 + 8 * ((offset & 15) >= (u64)row->cfa);
		return true;
	default:
		return false;
	}
	if (!walk__read(walk, *cfa, cfa))
		return false;
	*cfa += (row->rbp_rule >> 4) * 8;
	return true;
}

static inline enum step step__by_row(struct walk *walk, const struct unwind_row *row, u64 offset)
{
	u64 cfa, rbp = walk->rbp, place = 0;

	if (!row__cfa(walk, row, offset, &cfa))
		return STEP_BROKEN;
	switch (row->rbp_rule & 15) {
	case UNWIND_RBP_CFA:
		place = cfa + (s64)row->rbp * 8;
		break;
	case UNWIND_RBP_RBP:
		walk__use_rbp(walk);
		place = walk->rbp + (s64)row->rbp * 8;
		break;
	case UNWIND_RBP_LOST:
		walk->rbp = 1; /* no frame is there: who needs it ends broken */
		break;
	}
	if (place) {
		if (!walk__peek(walk, place, &rbp))
			return STEP_BROKEN;
		walk->rbp = rbp;
		walk->rbp_slot = place;
	}
	return walk__enter(walk, cfa);
}

/* From the frame at pc to its caller's. `offset` is where the code is in its file. */
__noinline enum step step__native(struct walk *walk, u32 object, u64 offset)
{
	struct unwind_row *row = row__at(object, offset);

	if (!walk)
		return STEP_BROKEN;
	if (!row || row->cfa_rule == UNWIND_NONE) {
		/* A return address at which a function begins was put there by hand: the first
		 * frame of a context (glibc's makecontext). */
		row = row__at(object, offset + 1);
		if (row && row->cfa_rule != UNWIND_NONE && !walk->exact)
			return STEP_END;
		return step__by_pointer(walk);
	}
	if (row->cfa_rule == UNWIND_END)
		return STEP_END;
	if (row->cfa_rule == UNWIND_SIGNAL)
		return step__from_signal(walk);
	return step__by_row(walk, row, offset);
}

#endif
