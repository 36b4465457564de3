/* privileges.c - see privileges.h. */
#include "mgmt/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { FILES_MAX = 256 };

static bool become(const char *user)
{
	errno = 0;
	const struct passwd *who = getpwnam(user);

	if (who == NULL || who->pw_uid == 0) {
		errno = errno != 0 ? errno : EINVAL;
		return false;
	}
	if (setgroups(0, NULL) != 0 || setresgid(who->pw_gid, who->pw_gid, who->pw_gid) != 0 ||
		setresuid(who->pw_uid, who->pw_uid, who->pw_uid) != 0)
		return false;
	/* There must be no way back. */
	if (setuid(0) == 0 || seteuid(0) == 0) {
		errno = EPERM;
		return false;
	}
	return true;
}

bool privileges_drop(const char *user)
{
	const struct rlimit files = {FILES_MAX, FILES_MAX};
	const struct rlimit none = {0, 0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return false;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
		return false;
	if (geteuid() == 0 && !become(user))
		return false;
	/* No child processes, ours are none. (After the change of user: it counts per user.) */
	if (setrlimit(RLIMIT_NPROC, &none) != 0)
		return false;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}
