"""The definition of each measure, in one sentence, as tables and pages print it."""

DEFINITIONS: dict[str, str] = {
    "class_il": "accuracy with predictions among all classes seen, as a mean over tasks after the "
    "last one",
    "task_il": "accuracy with predictions among the classes of the image's task, as a mean over "
    "tasks after the last one",
    "top5": "share of images with their class among the five highest logits of all classes seen, "
    "as a mean over tasks after the last one",
    "per_class": "accuracy on the test images of each class after the last task, with predictions "
    "among all classes seen",
    "average_incremental": "mean, over the ends of tasks, of the mean Class-IL accuracy on the "
    "tasks seen by then",
    "forgetting": "drop of the Class-IL accuracy from a task's best earlier accuracy to its last, "
    "as a mean over all tasks but the last (Chaudhry et al. 2018)",
    "backward_transfer": "change of the Class-IL accuracy on a task since it ended, as a mean over "
    "all tasks but the last (Lopez-Paz and Ranzato 2017)",
    "forward_transfer": "gain in Task-IL accuracy over the untrained network, just before training "
    "on a task, as a mean over all tasks but the first",
    "forward_transfer_class_il": "gain in Class-IL accuracy over the untrained network, just "
    "before training on a task, as a mean over all tasks but the first (Lopez-Paz and Ranzato "
    "2017)",
    "minimum_accuracy": "lowest Class-IL accuracy on a task since it ended, as a mean over all "
    "tasks but the last (De Lange et al. 2023)",
    "stability_gap": "drop of the mean Class-IL accuracy on earlier tasks while a task is trained, "
    "as a mean over all tasks but the first",
    "area_under_accuracy": "accuracy on all test images of the tasks seen, as a mean over "
    "evaluations at equal intervals (A_AUC, Koh et al. 2022)",
    "online": "accuracy on each batch of a task's first epoch before it is learned, with "
    "predictions among all classes seen",
    "calibration": "expected distance between confidence and Class-IL accuracy over 15 bins of "
    "confidence (Guo et al. 2017)",
    "recency": "share of the images of earlier tasks that are predicted as a class of the newest "
    "task",
}
"""Name of a measure in ``RunRecord`` -> its definition. All are in percent."""
